// The still street of one frame: stored light, less what the moving objects take from it.
in vec2 at;
uniform sampler2D ambient_map;
uniform sampler2D sun_map;
uniform sampler2D place_map;
uniform sampler2DShadow moving_map;
uniform mat4 from_sun;
uniform mat4 to_clip;
uniform int count;
uniform vec4 footprints[12];  // x, y, cos and sin of the heading
uniform vec4 sizes[12];       // half width, half length, clearance, strength
out vec4 colour;

float covered(vec2 p, vec4 foot, vec4 size, float soft) {
    vec2 d = p - foot.xy;
    vec2 q = abs(vec2(d.x * foot.z + d.y * foot.w, d.y * foot.z - d.x * foot.w)) - size.xy;
    vec2 c = 1.0 - smoothstep(vec2(-soft), vec2(soft), q);
    return c.x * c.y;
}
void main() {
    vec4 place = texture(place_map, at);
    float lit = sunlit(moving_map, from_sun, place.xyz + vec3(0, 0, 0.015), 0.0016);
    float open = 1.0;
    for (int i = 0; i < count; ++i) {
        float near = smoothstep(1.2, 0.0, place.z);
        open *= 1.0 - near * sizes[i].w * (0.55 * covered(place.xy, footprints[i], sizes[i], sizes[i].z)
                                          + 0.40 * covered(place.xy, footprints[i], sizes[i] - 0.05, 0.12));
    }
    colour = vec4(texture(ambient_map, at).rgb * open + texture(sun_map, at).rgb * lit, 1.0);
    vec4 clip = to_clip * vec4(place.xyz, 1.0);
    gl_FragDepth = place.w < 0.5 ? 1.0 : (clip.z / clip.w) * 0.5 + 0.5;
}

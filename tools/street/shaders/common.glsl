// Noise, sky and light that every pass shares. Linear colours, metres, z up.
uniform vec3 sun_dir;
const vec3 SUN = vec3(2.75, 2.53, 2.2);

float hash(vec2 p) {
    uvec2 q = uvec2(ivec2(floor(p)) + 32768) * uvec2(1597334673u, 3812015801u);
    uint n = (q.x ^ q.y) * 1597334673u;
    n ^= n >> 15; n *= 2246822519u; n ^= n >> 13;
    return float(n) / 4294967295.0;
}
float noise(vec2 p) {
    vec2 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x),
               mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}
float fbm(vec2 p) {
    float sum = 0.0, size = 0.5;
    for (int i = 0; i < 4; ++i) { sum += size * noise(p); p = p * 2.03 + 17.1; size *= 0.5; }
    return sum / 0.9375;
}
vec3 surroundings(vec3 d) {
    float round_ = atan(d.x, d.y);
    float roof = 0.22 + 0.22 * hash(vec2(floor(round_ * 2.4) + 9.0, 3.0));
    vec3 sky = mix(vec3(0.95, 1.0, 1.05), vec3(0.30, 0.47, 0.78), sqrt(clamp(d.z, 0.0, 1.0)));
    sky = mix(sky, vec3(1.15), smoothstep(0.5, 0.75, fbm(d.xy / (d.z + 0.35) * 1.7 + 4.0)) * 0.7);
    vec3 wall = mix(vec3(0.34, 0.29, 0.25), vec3(0.45, 0.43, 0.40), hash(vec2(floor(round_ * 2.4), 1.0)));
    vec2 pane = abs(fract(vec2(round_ * 9.0, d.z * 8.0)) - 0.5);
    vec2 wide = 0.12 + 0.5 * fwidth(vec2(round_ * 9.0, d.z * 8.0));
    vec2 opening = smoothstep(0.3 + wide, 0.3 - wide, pane);
    wall *= 1.0 - 0.45 * opening.x * opening.y * clamp(1.5 - 2.0 * wide.y, 0.0, 1.0);
    vec3 up = mix(wall, sky, smoothstep(roof - 0.01, roof + 0.02, d.z));
    vec3 road = vec3(0.17, 0.17, 0.175);
    return mix(road, up, smoothstep(-0.03, 0.03, d.z));
}
vec3 ambient(vec3 n) {
    vec3 light = mix(vec3(0.26, 0.25, 0.24), vec3(0.62, 0.72, 0.88), n.z * 0.5 + 0.5);
    return light * 0.92;
}
float sunlit(sampler2DShadow map, mat4 from_sun, vec3 at, float spread) {
    vec4 p = from_sun * vec4(at, 1.0);
    vec3 s = p.xyz * 0.5 + 0.5;
    float turn = 6.2832 * hash(gl_FragCoord.xy), sum = 0.0;
    for (int i = 0; i < 12; ++i) {
        float r = sqrt((float(i) + 0.5) / 12.0), a = 2.39996 * float(i) + turn * 0.25;
        sum += texture(map, vec3(s.xy + spread * r * vec2(cos(a), sin(a)), s.z));
    }
    return sum / 12.0;
}

// From light to a camera's picture: lens softness, exposure, tone curve, vignette.
in vec2 at;
uniform sampler2D light;
uniform float exposure;
uniform vec2 pixel;
out vec4 colour;

vec3 film(vec3 x) { return (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14); }
void main() {
    vec2 q = vec2(at.x, 1.0 - at.y);
    vec3 c = vec3(0.0);
    float total = 0.0;
    for (int y = -1; y <= 1; ++y) for (int x = -1; x <= 1; ++x) {
        float w = exp(-float(x * x + y * y) * 1.75);
        c += w * film(texture(light, q + vec2(x, y) * pixel).rgb * exposure);
        total += w;
    }
    c /= total;
    c = mix(vec3(dot(c, vec3(0.25, 0.65, 0.10))), c, 0.80) * 0.985 + vec3(0.008, 0.009, 0.011);
    vec2 d = (at - 0.5) * vec2(1.0, 0.5625);
    c *= 1.0 - 0.55 * pow(dot(d, d) / 0.33, 1.2);
    c = pow(clamp(c, 0.0, 1.0), vec3(1.0 / 2.2));
    colour = vec4(c, 1.0);
}

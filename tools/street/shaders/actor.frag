// Vehicles and people.
in vec3 place;
in vec3 world;
in vec3 normal;
in vec3 extra;
flat in int part;
uniform sampler2DShadow moving_map;
uniform mat4 from_sun;
uniform vec3 eye;
uniform sampler2DArray plates;
uniform vec3 paint;
uniform vec4 dims;     // half length, half width, belt height, wheel radius
uniform vec4 axles;    // front y, rear y, rear lamp low, rear lamp high
uniform vec4 panes;    // three pillars' y, roof height
uniform vec2 rear_glass;
uniform vec4 lamps;    // brake, reverse, indicator, head
out vec4 colour;

float edge(float v, float at, float soft) { return smoothstep(at - soft, at + soft, v); }
float line(float v, float at, float half_width) {
    float w = max(fwidth(v), 1e-4);
    return (1.0 - smoothstep(half_width, half_width + w, abs(v - at))) * clamp(half_width * 2.0 / w, 0.0, 1.0);
}
float within(float v, float low, float high, float soft) { return edge(v, low, soft) * (1.0 - edge(v, high, soft)); }
struct Surface { vec3 colour; float gloss; vec3 glow; };

float glazed(float u, float a, float inset) {
    float soft = 0.008;
    if (abs(a) <= 1.0) {
        float front = edge(u, 4.1, 0.02) * (1.0 - edge(u, 4.95, 0.02)) * (1.0 - edge(abs(a), 0.95, 0.01));
        float rear = edge(u, rear_glass.x, 0.03) * (1.0 - edge(u, rear_glass.y, 0.02)) * (1.0 - edge(abs(a), 0.9, 0.01));
        return max(front, rear);
    }
    float side = edge(place.z, dims.z + 0.02, soft) * edge(inset, 0.085, soft);
    side *= edge(place.y, panes.z, 0.012);
    return side;
}
Surface body(float u, float a, float inset) {
    Surface s = Surface(paint, 1.0, vec3(0.0));
    float half_length = dims.x, is_flank = step(1.0, abs(a));
    float rear = step(place.y, 0.0);
    // trim: sills, lower bumpers, bonnet, door and boot gaps
    float low = 1.0 - edge(place.z, 0.30, 0.006);
    s.colour = mix(s.colour, vec3(0.022), low);
    s.gloss = mix(s.gloss, 0.25, low);
    float gap = 0.0;
    if (is_flank > 0.5) {
        float doors = step(0.34, place.z) * (1.0 - edge(place.z, dims.z, 0.01));
        gap = doors * max(max(line(place.y, panes.x, 0.006), line(place.y, panes.y, 0.006)), line(place.y, axles.x - 0.42, 0.006));
        gap = max(gap, line(place.z, 0.36, 0.005) * step(axles.y + 0.4, place.y) * step(place.y, axles.x - 0.4));
    } else {
        gap = max(line(u, 3.25, 0.012) * step(abs(a), 0.9), line(u, 4.02, 0.03));
        gap = max(gap, line(abs(a), 0.86, 0.006) * step(3.2, u) * step(u, 4.0));
        gap = max(gap, line(abs(a), 0.84, 0.006) * step(rear_glass.y + 0.1, u) * step(u, 10.3));
        gap = max(gap, line(u, 10.3, 0.015) * step(abs(a), 0.84));
    }
    s.colour *= 1.0 - 0.8 * gap;
    // wheel arches
    float nearest = min(length(place.yz - vec2(axles.x, dims.w)), length(place.yz - vec2(axles.y, dims.w)));
    float arch = is_flank * (1.0 - edge(nearest, dims.w + 0.045, 0.006));
    s.colour = mix(s.colour, vec3(0.008), arch);
    s.gloss *= 1.0 - arch;
    // grille and lower intake
    if (rear < 0.5 && abs(a) <= 1.0) {
        float grille = edge(place.z, 0.55, 0.005) * (1.0 - edge(place.z, 0.68, 0.005)) * (1.0 - edge(abs(place.x), 0.38, 0.01));
        float intake = edge(place.z, 0.30, 0.005) * (1.0 - edge(place.z, 0.40, 0.005)) * (1.0 - edge(abs(place.x), 0.5, 0.01));
        float bars = 0.5 + 0.5 * step(0.5, fract(place.z * 28.0));
        s.colour = mix(s.colour, vec3(0.02) + 0.10 * grille * bars, max(grille, intake) * step(half_length - 0.5, place.y));
    }
    // bumper strip and lamps at the back
    float back = rear * step(place.y, -half_length + 0.42);
    float tall = edge(place.z, axles.z, 0.006) * (1.0 - edge(place.z, axles.w, 0.006));
    float wide = dims.y * (axles.w - axles.z > 0.4 ? 0.86 : 0.66);
    float lamp = back * tall * edge(abs(place.x), wide - 0.06 * (place.z - axles.z) / (axles.w - axles.z), 0.008);
    float share = (place.z - axles.z) / (axles.w - axles.z);
    float ribs = 0.8 + 0.4 * smoothstep(0.35, 0.65, abs(fract(place.x * 30.0) - 0.5) * 2.0);
    float inner = within(share, 0.16, 0.50, 0.02) * edge(abs(place.x), wide + 0.05, 0.006);
    float amber = lamp * inner * edge(abs(place.x), wide + 0.13, 0.004);
    float clear = lamp * inner * (1.0 - edge(abs(place.x), wide + 0.13, 0.004));
    vec3 lens = mix(vec3(0.17, 0.006, 0.008), vec3(0.30, 0.27, 0.26), clear);
    lens = mix(lens, vec3(0.26, 0.09, 0.02), amber) * ribs;
    float rim = lamp * (1.0 - within(share, 0.05, 0.95, 0.01));
    s.colour = mix(s.colour, mix(lens, vec3(0.02), rim), lamp);
    float red = lamp * (1.0 - inner);
    s.glow += red * lamps.x * vec3(2.6, 0.16, 0.10) + clear * lamps.y * vec3(2.2, 2.1, 1.9);
    s.glow += amber * abs(lamps.z) * step(0.0, place.x * lamps.z) * vec3(3.2, 1.2, 0.1);
    float third = back * line(u, rear_glass.x - 0.03, 0.035) * step(abs(place.x), 0.2) * step(abs(a), 1.0);
    s.glow += third * lamps.x * vec3(2.2, 0.12, 0.08);
    float strip = back * edge(place.z, 0.40, 0.005) * (1.0 - edge(place.z, 0.47, 0.005));
    s.colour = mix(s.colour, vec3(0.03), strip * 0.9);
    float dots = back * edge(place.z, 0.33, 0.004) * (1.0 - edge(place.z, 0.375, 0.004)) * edge(abs(place.x), 0.55, 0.005) * (1.0 - edge(abs(place.x), 0.72, 0.005));
    s.colour = mix(s.colour, vec3(0.25, 0.01, 0.01), dots);
    float badge = back * line(length((place.xz - vec2(0.0, axles.w - 0.02)) * vec2(1.0, 1.0)), 0.022, 0.007) * step(abs(a), 1.0);
    s.colour = mix(s.colour, vec3(0.22), badge * step(7.9, u));
    // head lamps
    float ahead = step(half_length - 0.5, place.y);
    float head = ahead * edge(place.z, 0.60, 0.006) * (1.0 - edge(place.z, 0.60 + 0.24 * smoothstep(0.3, 0.9, abs(place.x)), 0.006)) * edge(abs(place.x), 0.47, 0.008);
    float bulb = exp(-dot(place.xz - vec2(sign(place.x) * 0.64, 0.68), place.xz - vec2(sign(place.x) * 0.64, 0.68)) / 0.003);
    s.colour = mix(s.colour, vec3(0.45, 0.47, 0.5) * (0.5 + 0.5 * bulb), head);
    s.glow += head * (0.12 + bulb) * lamps.w * vec3(1.5, 1.45, 1.3);
    return s;
}
vec3 shine(vec3 base, vec3 n, vec3 v, float gloss) {
    vec3 r = reflect(v, n);
    float fresnel = 0.045 + 0.955 * pow(1.0 - max(dot(-v, n), 0.0), 5.0);
    return base * (1.0 - fresnel * gloss * 0.6) + surroundings(r) * fresnel * gloss * 0.9;
}
void main() {
    vec3 n = normalize(normal), v = normalize(world - eye);
    if (dot(n, v) > 0.0) n = -n;
    Surface s = Surface(extra, 0.0, vec3(0.0));
    float pane = 0.0;
    if (part == 0) {
        s = body(extra.x, extra.y, extra.z);
        pane = glazed(extra.x, extra.y, extra.z);
    } else if (part == 1) {
        float r = extra.x, spoke = 0.5 + 0.5 * cos(extra.y * 5.0);
        float rim = 1.0 - edge(r, 0.68, 0.01);
        float holes = edge(r, 0.22, 0.02) * (1.0 - edge(r, 0.60, 0.02)) * (1.0 - edge(spoke, 0.45, 0.08));
        s.colour = mix(vec3(0.018), mix(vec3(0.34, 0.35, 0.36), vec3(0.02), holes), rim);
        s.gloss = rim * 0.5 * (1.0 - holes);
    } else if (part == 5) s = Surface(paint, 0.9, vec3(0.0));
    else if (part == 2) s.colour = pow(texture(plates, extra).rgb, vec3(2.2)) * 0.62;
    else if (part == 4) s.gloss = 0.8;
    float lit = sunlit(moving_map, from_sun, world + n * 0.05, 0.0010);
    float ndl = max(dot(n, sun_dir), 0.0) * lit;
    float low = part == 3 ? 1.0 : mix(0.35, 1.0, smoothstep(0.05, 0.75, world.z + 0.5 * max(n.z, 0.0)));
    vec3 c = s.colour * (ambient(n) * low + SUN * ndl);
    vec3 half_way = normalize(sun_dir - v);
    float spark = pow(max(dot(n, half_way), 0.0), 350.0) * 10.0 + pow(max(dot(n, half_way), 0.0), 30.0) * 0.16;
    c = shine(c, n, v, s.gloss) + SUN * spark * lit * s.gloss * 0.55;
    if (pane > 0.0) {
        float fresnel = 0.09 + 0.91 * pow(1.0 - max(dot(-v, n), 0.0), 4.0);
        float seat = smoothstep(0.13, 0.1, length((place.xz - vec2(sign(place.x) * 0.36, dims.z + 0.16)) * vec2(1.0, 0.8)));
        vec3 inside = vec3(0.022, 0.026, 0.028) * (1.0 - 0.5 * seat * step(abs(extra.y), 1.0));
        float bars = line(fract(place.z * 30.0), 0.5, 0.04) * step(7.0, extra.x) * step(abs(extra.y), 0.85);
        vec3 g = inside + bars * 0.006 + surroundings(reflect(v, n)) * fresnel * 0.75 + SUN * spark * lit * 0.8;
        if (abs(extra.y) > 1.0) {
            float post = max(line(place.y, panes.x, 0.045), line(place.y, panes.y, 0.04));
            g = mix(g, vec3(0.02) + 0.05 * surroundings(reflect(v, n)), post);
        }
        c = mix(c, g, pane);
    }
    colour = vec4(c + s.glow, 1.0);
}

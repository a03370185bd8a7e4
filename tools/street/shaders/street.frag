// What stands still: rendered once into ambient light, sunlight and position.
in vec3 place;
in vec3 world;
in vec3 normal;
in vec3 extra;
flat in int part;
uniform sampler2DShadow static_map;
uniform mat4 from_sun;
uniform vec3 eye;
uniform sampler2DArray signs;
uniform vec4 zone;  // x left, x right, y near, y far of the painted zone
layout(location = 0) out vec4 out_ambient;
layout(location = 1) out vec4 out_sun;
layout(location = 2) out vec4 out_place;

float band(float v, float middle, float half_width) {
    return 1.0 - smoothstep(half_width - 0.008, half_width + 0.008, abs(v - middle));
}
float within(float v, float low, float high) {
    return smoothstep(low - 0.01, low + 0.01, v) * (1.0 - smoothstep(high - 0.01, high + 0.01, v));
}
float crack(vec2 p, float scale, float width) {
    vec2 w = p + 0.35 * vec2(fbm(p * 1.9), fbm(p * 1.9 + 7.0)) + 0.05 * noise(p * 14.0);
    return 1.0 - smoothstep(width * 0.3, width, abs(noise(w * scale) - 0.5) / scale);
}
vec3 asphalt(vec2 p) {
    float tone = 0.100 + 0.06 * (fbm(p * vec2(0.55, 0.22)) - 0.5) + 0.035 * (fbm(p * 2.7 + 3.0) - 0.5);
    tone += 0.05 * (noise(p * 95.0) - 0.5) + 0.035 * (noise(p * 41.0) - 0.5);
    float tracks = 0.0;
    for (int i = 0; i < 4; ++i) {
        float x = (i < 2 ? -4.15 : -7.5) + (i % 2 == 0 ? -0.75 : 0.75);
        tracks += exp(-pow((p.x - x + 0.12 * fbm(vec2(p.y * 0.2, x))) / 0.3, 2.0));
    }
    if (p.y < 34.0) tone += 0.016 * tracks;
    float middle = exp(-pow((p.x + 4.15) / 0.25, 2.0)) + exp(-pow((p.x + 7.5) / 0.25, 2.0));
    tone -= 0.03 * middle * fbm(vec2(p.x * 3.0, p.y * 0.5));
    vec4 patches[4] = vec4[](vec4(-5.5, -3.1, 17.0, 21.4), vec4(-9.1, -7.4, 22.0, 30.0),
                             vec4(-2.2, -0.9, 19.3, 27.0), vec4(-8.6, -6.3, 13.0, 15.6));
    for (int i = 0; i < 4; ++i) {
        vec4 b = patches[i];
        vec2 q = p + 0.03 * vec2(noise(p * 6.0), noise(p * 6.0 + 5.0));
        float in_ = within(q.x, b.x, b.y) * within(q.y, b.z, b.w);
        float rim = within(q.x, b.x - 0.05, b.y + 0.05) * within(q.y, b.z - 0.05, b.w + 0.05) - in_;
        tone = mix(tone, tone * 0.72 + 0.006 * float(i), in_ * 0.85);
        tone = mix(tone, 0.05, clamp(rim, 0.0, 1.0) * 0.8);
    }
    float broken = smoothstep(0.54, 0.66, fbm(p * 0.31 + 11.0));
    tone *= 1.0 - 0.5 * broken * crack(p, 0.8, 0.010);
    tone *= 1.0 - 0.45 * smoothstep(0.52, 0.68, fbm(p * 0.5 + 31.0)) * crack(p + 40.0, 2.6, 0.006);
    tone *= 1.0 - 0.75 * band(p.x + 0.05 * fbm(p * 1.3), -5.93, 0.025) * step(p.y, 34.5);
    for (int i = 0; i < 9; ++i) {
        vec2 c = vec2(-4.1 + 0.9 * (hash(vec2(i, 1)) - 0.5), 9.0 + 3.1 * float(i));
        if (i % 3 == 0) c.x = -1.2 + 0.5 * hash(vec2(i, 2));
        tone *= 1.0 - 0.4 * exp(-dot(p - c, p - c) / 0.05) * fbm(p * 5.0);
    }
    float gutter = exp(-max(-p.x, 0.0) / 0.16) + exp(-max(p.x + 9.2, 0.0) / 0.16);
    tone *= 1.0 - 0.42 * min(gutter, 1.0) * (0.5 + fbm(p * 3.0)) * step(p.y, 35.0);
    return vec3(tone) * vec3(1.0, 0.985, 0.96);
}
float painted(vec2 p) {
    float white = band(p.x, -5.8, 0.065) * step(fract(p.y / 5.0 + 0.14), 0.5) * step(p.y, 27.6);
    float stripes = step(fract(p.x / 1.0 + 0.3), 0.5) * within(p.x, -9.0, -0.3);
    white = max(white, stripes * within(p.y, 29.0, 32.0));
    white = max(white, within(p.y, 27.9, 28.3) * within(p.x, -5.6, -2.6));
    return max(white, within(p.y, 33.6, 34.0) * within(p.x, -5.6, -0.4));
}
vec3 road(vec2 p) {
    vec3 c = asphalt(p);
    float worn = smoothstep(0.22, 0.6, fbm(p * 3.3 + 5.0) * 0.55 + fbm(p * 13.0) * 0.45 + 0.06);
    worn *= 0.82 + 0.18 * noise(p * 70.0);
    c = mix(c, vec3(0.55, 0.54, 0.51), painted(p) * worn * 0.9);
    float in_ = within(p.x, zone.x, zone.y) * within(p.y, zone.z, zone.w);
    float core = within(p.x, zone.x + 0.12, zone.y - 0.12) * within(p.y, zone.z + 0.12, zone.w - 0.12);
    float diagonal = band(fract((p.y + p.x) / 2.1) * 2.1, 1.05, 0.085);
    float yellow = clamp(in_ - core, 0.0, 1.0) + core * diagonal;
    c = mix(c, vec3(0.50, 0.33, 0.05), yellow * worn * 0.86);
    vec2 lids[3] = vec2[](vec2(-4.3, 15.2), vec2(-7.2, 21.0), vec2(-3.4, 26.2));
    for (int i = 0; i < 3; ++i) {
        vec2 q = p - lids[i];
        float r = length(q);
        vec2 g = fract(q * 11.0) - 0.5;
        vec3 iron = vec3(0.075, 0.07, 0.065) * (1.0 + 0.5 * step(0.12, abs(g.x * g.y) * 4.0));
        iron = mix(iron, vec3(0.03), band(r, 0.31, 0.014));
        c = mix(c, iron, 1.0 - smoothstep(0.345, 0.36, r));
        c *= 1.0 - 0.5 * band(r, 0.38, 0.02);
    }
    float grate = within(p.x, -0.42, -0.04) * max(within(p.y, 16.4, 16.9), within(p.y, 26.4, 26.9));
    return mix(c, vec3(0.06) * step(0.4, fract(p.x * 16.0)) + 0.008, grate);
}
vec3 slabs(vec2 p) {
    p += vec2(0.0, 0.3) * mod(floor(p.x / 0.5), 2.0);
    vec2 cell = floor(p / vec2(0.5, 0.6)), f = fract(p / vec2(0.5, 0.6)) * vec2(0.5, 0.6);
    float joint = min(min(f.x, 0.5 - f.x), min(f.y, 0.6 - f.y));
    float tone = 0.235 + 0.055 * (hash(cell) - 0.5) + 0.09 * (fbm(p * 0.9) - 0.5) + 0.06 * (noise(p * 60.0) - 0.5);
    tone *= 1.0 - 0.25 * smoothstep(0.55, 0.75, fbm(p * 1.4 + 9.0));
    tone *= mix(0.55, 1.0, smoothstep(0.004, 0.014, joint));
    vec2 gum = fract(p * 1.7) - 0.5;
    tone *= 1.0 - 0.35 * step(0.72, hash(floor(p * 1.7))) * (1.0 - smoothstep(0.02, 0.035, length(gum)));
    return vec3(tone) * vec3(1.0, 0.97, 0.92);
}
vec3 kerb(vec3 p) {
    float joint = min(fract(p.y), 1.0 - fract(p.y));
    vec3 c = vec3(0.33) * (0.9 + 0.2 * hash(vec2(floor(p.y), floor(p.x)))) * (0.8 + 0.4 * fbm(p.xy * 9.0 + p.z));
    if (p.x > -0.5 && p.y > zone.z && p.y < zone.w) {
        vec3 paint = mod(floor(p.y), 2.0) < 1.0 ? vec3(0.42, 0.035, 0.025) : vec3(0.56, 0.40, 0.05);
        c = mix(c, paint, 0.85 * smoothstep(0.22, 0.5, fbm(p.xy * 6.0 + p.z * 5.0)));
    }
    return c * mix(0.35, 1.0, smoothstep(0.004, 0.016, joint)) * (0.75 + 0.25 * smoothstep(0.0, 0.07, p.z));
}
vec3 wall(vec3 p, vec3 tint) {
    float along = abs(normal.x) > 0.5 ? p.y : p.x;
    vec2 q = vec2(along, p.z);
    vec2 brick = vec2(q.x / 0.25 + 0.5 * mod(floor(q.y / 0.075), 2.0), q.y / 0.075);
    vec2 f = fract(brick);
    float mortar = step(0.06, f.x) * step(0.14, f.y);
    float tone = 0.85 + 0.3 * hash(floor(brick)) ;
    vec3 c = tint.r > tint.b * 1.45 ? mix(vec3(0.30, 0.28, 0.25), tint * tone, mortar) : tint;
    c *= 0.8 + 0.4 * fbm(q * vec2(0.9, 0.5));
    return c * mix(0.62, 1.0, smoothstep(0.0, 0.8, p.z + 0.3 * fbm(q * 3.0)));
}
vec3 glass(vec3 p, vec3 tint) {
    vec3 v = normalize(p - eye), r = reflect(v, normal);
    float along = abs(normal.x) > 0.5 ? p.y : p.x;
    vec2 q = vec2(along, p.z);
    float goods = smoothstep(0.42, 0.66, fbm(q * vec2(2.6, 3.4) + tint.xy * 9.0)) * smoothstep(2.2, 0.7, p.z);
    vec3 thing = mix(vec3(0.10, 0.09, 0.08), tint, 0.35 + 0.5 * noise(q * 1.3 + 3.0));
    vec3 inside = mix(vec3(0.018, 0.019, 0.02), thing * (0.12 + 0.2 * noise(q * 9.0)), goods);
    inside += vec3(0.05, 0.042, 0.03) * smoothstep(1.2, 2.6, p.z);
    inside += vec3(0.7, 0.6, 0.42) * exp(-pow((p.z - 2.35) / 0.035, 2.0)) * step(0.82, fract(along * 0.55));
    vec2 poster = floor(q / vec2(1.3, 0.9)), in_poster = fract(q / vec2(1.3, 0.9));
    if (hash(poster + 3.0) > 0.84 && in_poster.x > 0.3 && in_poster.x < 0.75 && in_poster.y > 0.2)
        inside = mix(vec3(0.5, 0.48, 0.42), tint * 0.6, step(0.5, noise(q * 6.0))) * 0.55;
    float fresnel = 0.06 + 0.94 * pow(1.0 - abs(dot(v, normal)), 5.0);
    return inside + surroundings(r) * (0.10 + 0.6 * fresnel);
}
void main() {
    vec3 n = normalize(normal), c = extra;
    float gloss = 0.0, self_lit = 0.0;
    if (part == 10) c = road(world.xy);
    else if (part == 11) c = slabs(world.xy);
    else if (part == 12) c = kerb(world);
    else if (part == 13) c = wall(world, extra);
    else if (part == 14) { c = glass(world, extra); self_lit = 1.0; }
    else if (part == 15) {
        vec3 q = world * 9.0;
        float leaf = noise(q.xy + q.z * 3.1) * 0.6 + noise(q.yz * 2.3 + q.x) * 0.4;
        c = mix(vec3(0.018, 0.045, 0.012), vec3(0.10, 0.19, 0.035), leaf) * (0.8 + 0.4 * hash(floor(q.xz)));
        n = normalize(n + 1.3 * (vec3(noise(q.xy * 1.7), noise(q.yz * 1.7), noise(q.zx * 1.7)) - 0.4));
    }
    else if (part == 16) c *= fract((world.x + world.y) / 0.5) < 0.5 ? 1.0 : 0.35;
    else if (part == 17) c = pow(texture(signs, extra).rgb, vec3(2.2)) * 0.75;
    else if (part == 18) c *= 0.6 + 0.6 * fbm(vec2(world.x * 20.0 + world.y * 20.0, world.z * 3.0));
    float shade = sunlit(static_map, from_sun, world + n * 0.03, 0.0011);
    float low = part >= 13 ? 1.0 : 0.72 + 0.28 * smoothstep(0.0, 0.9, min(abs(world.x - 3.4), abs(world.x + 12.6)));
    float light = max(dot(n, sun_dir), 0.0) * shade;
    if (self_lit > 0.5) { out_ambient = vec4(c, 1.0); out_sun = vec4(c * 0.12 * shade, 1.0); }
    else {
        out_ambient = vec4(c * ambient(n) * low, 1.0);
        out_sun = vec4(c * SUN * light, 1.0);
    }
    out_place = vec4(world, 1.0);
}

#version 330
uniform mat4 to_clip;
uniform mat4 model;
in vec3 in_position;
in vec3 in_normal;
in float in_part;
in vec3 in_extra;
out vec3 place;
out vec3 world;
out vec3 normal;
out vec3 extra;
flat out int part;
void main() {
    place = in_position;
    vec4 w = model * vec4(in_position, 1.0);
    world = w.xyz;
    normal = mat3(model) * in_normal;
    extra = in_extra;
    part = int(in_part + 0.5);
    gl_Position = to_clip * w;
}

#version 330
uniform mat4 to_clip;
uniform mat4 model;
in vec3 in_position;
void main() { gl_Position = to_clip * model * vec4(in_position, 1.0); }

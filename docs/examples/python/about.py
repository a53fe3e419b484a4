# Reads a script, says where it is no Python, and writes the C header with its about text, for python.c.
import ast
import json
import sys

script, kernel = sys.argv[1:]
text = open(script, encoding="utf-8").read()
try:
    ast.parse(text, script)
except SyntaxError as error:
    sys.exit(f"{script}:{error.lineno}: error: {error.msg}")
about = [line[3:] for line in text.splitlines() if line.startswith("#: ")]
if not about:
    sys.exit(f'{script}:1: error: no about text: begin the script with "#: bat-persona 1" and the lines that persona.h describes')
print(f"#define SCRIPT_NAME {json.dumps(script)}\n#define KERNEL_PY {json.dumps(kernel)}")
print("PERSONA_ABOUT(" + "\n".join(json.dumps(line + "\n", ensure_ascii=False) for line in about) + ");")

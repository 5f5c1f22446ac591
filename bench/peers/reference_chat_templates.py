"""Writes src/tokenizer/fixtures/chat-templates.json: what transformers renders from chat templates that use what published ones use.

Left out, because @huggingface/jinja does them otherwise: values printed without tojson that are neither text nor a number.

    python reference_chat_templates.py [--config tokenizer_config.json … --print]

With --config, renders the conversations with the templates of such files and prints the result as JSON instead.
"""

import argparse
import json
import pathlib

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather", "description": "The weather, <b>now</b> & 'then' — 天気",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}}, "required": ["city"]},
        },
    }
]
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2, "flags": [True, None, 1.5]}}}

CONVERSATIONS = [
    dict(messages=[{"role": "user", "content": "Hi"}]),
    dict(messages=[{"role": "user", "content": "Hi"}], add_generation_prompt=True),
    dict(messages=[{"role": "system", "content": " Be brief. \n"}, {"role": "user", "content": "1 < 2 & \"x\"?"}, {"role": "assistant", "content": "Yes.\n"}, {"role": "user", "content": " And 3? "}], add_generation_prompt=True),
    dict(messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb"}, {"role": "user", "content": "c"}], add_generation_prompt=True),
    dict(messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "because"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "reasoning_content": "so"}]),
    dict(messages=[{"role": "user", "content": "Weather?"}, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "content": "{\"sun\": true}", "name": "get_weather", "tool_call_id": "c1"}], tools=TOOLS, add_generation_prompt=True),
    dict(messages=[{"role": "user", "content": "Weather?"}], tools=TOOLS, add_generation_prompt=True),
    dict(messages=[{"role": "user", "content": "Hi"}], enable_thinking=False, add_generation_prompt=True),
    dict(messages=[{"role": "user", "content": [{"type": "text", "text": "part one"}, {"type": "text", "text": " two"}]}], add_generation_prompt=True),
    dict(messages=[{"role": "assistant", "content": "first"}, {"role": "assistant", "content": "second"}]),
    dict(messages=[]),
]

TEMPLATES = {
    "whitespace": """{{ bos_token }}{% for message in messages %}
    {% if loop.first and message.role != 'system' %}
[first]
    {% endif %}
    {%- if message['role'] == 'user' -%}
  U: {{ message['content'] if message['content'] is string else '' }}
    {%- else %}
  {{ message.role | upper }}:{{ message['content'] | trim }}{{ eos_token }}
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}
A:
{%- endif %}
""",
    "namespace": """{%- set ns = namespace(system='', last=-1, seen=false) -%}
{%- for m in messages -%}{%- if m.role == 'system' -%}{%- set ns.system = m.content.strip() -%}{%- endif -%}
{%- if m.role == "user" and not (m.content is string and m.content.startswith('<x>')) -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
{{- ns.system ~ '|' ~ ns.last ~ '|' ~ (messages | length) -}}
{%- for m in messages[::-1] %}{{ '\\n' + loop.revindex|string + ':' + m.role + ('' if loop.last else ',') }}{% endfor -%}
{%- for m in messages if m.role != 'system' -%}{{ loop.index }}/{{ loop.length }} {% if loop.previtem is defined %}after {{ loop.previtem.role }}{% else %}start{% endif %};{%- endfor -%}
{{ messages[-1].role if messages else 'none' }}{{ messages[1:] | map(attribute='role') | join('+') }}""",
    "macros": """{%- macro block(role, text, end='<e>') -%}<{{ role }}>{{ text }}{{ end }}{%- endmacro -%}
{%- for m in messages -%}
{%- set content = m.content if m.content is string else (m.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join('')) -%}
{%- if '</think>' in content -%}{%- set content = content.split('</think>')[-1].lstrip('\\n') -%}{%- endif -%}
{{ block(m.role, content) if m.role != 'tool' else block('tool', content, end='') }}
{%- if m.reasoning_content is defined and m.reasoning_content is not none -%}({{ m.reasoning_content }}){%- endif -%}
{%- for call in m.tool_calls or [] -%}{{ call.function.name }}{{ call.function.arguments | tojson }}{%- endfor -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<a>' }}{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{%- endif -%}""",
    "tools": """{%- if tools is not none and tools -%}{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{{ tools | tojson(indent=2) }}{% for name, p in tools[0].function.parameters.properties.items() %}{{ name }}={{ p.type }}{% if p.default is defined %}:{{ p.default }}{% endif %} {% endfor %}{%- endif -%}
{%- for m in messages -%}{%- if m.tool_calls is defined -%}{{ m.tool_calls[0].function.arguments.city | length }}{{ 'some' if m.tool_calls | length > 0 else 'none' }}{%- endif -%}
{{ m.get('name', 'no name') }} {{ 'has' if 'content' in m else 'lacks' }} {{ m.content | default('-', true) if m.content is string else 'parts' }};{%- endfor -%}""",
    "refusing": """{%- if not messages -%}{{ raise_exception('No messages') }}{%- endif -%}
{%- for m in messages -%}{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('Roles must alternate: ' + m.role) }}{%- endif -%}{{ m.role[0] }}{%- endfor -%}""",
    "values": """{{ 7 // 2 }} {{ 7 % 3 }} {{ 1.25 * 2 }} {{ 1 / 2 }} {{ ([1, 2] + [3]) | tojson }} {{ {'a': 1, 'b': [true, none]} | tojson }} {{ 'x' if false else 'y' }} {{ 'yes' if not true or 1 == 1 else 'no' }} {{ 'a,b'.split(',') | last | upper }}
{{ 'Title case'.title() }} {{ ' x ' | trim | capitalize }} {{ 'aXbX'.replace('X', '-') }} {{ [3, 1, 2] | sort | join(',') }} {{ 'abc'[1:] }} {{ [1, 2, 3] | first }} {{ range(3) | list | tojson }} {{ 'odd' if 5 is odd }} {{ 'x' if undefined_thing is defined else 'undefined' }} {{ 'é' | tojson }} {{ 3 | int + 1 }} {{ 'in' if 'b' in 'abc' }} {{ ['a', 'b'] | tojson }} {{ "q'" | tojson }} {{ 1.5 }}
{%- set x = 1 -%}{%- if x == 1 -%}{%- set x = 2 -%}{%- endif -%}{{ x }}{% for i in range(4) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}{# comment #}
{{ 'end' }}""",
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def render(template, conversation, tokens):
    options = dict(conversation)
    messages, tools = options.pop("messages"), options.pop("tools", None)
    options.setdefault("add_generation_prompt", False)
    try:
        return {"text": render_jinja_template([messages], tools=tools, chat_template=template, **options, **tokens)[0][0]}
    except Exception as error:
        return {"error": str(error)}


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", nargs="*", default=[])
    parser.add_argument("--out", default=here / "../../src/tokenizer/fixtures/chat-templates.json")
    args = parser.parse_args()
    sources, tokens = dict(TEMPLATES), {name: TOKENS for name in TEMPLATES}
    if args.config:
        files = {path: json.loads(pathlib.Path(path).read_text()) for path in args.config}
        sources = {path: file["chat_template"] for path, file in files.items() if "chat_template" in file}
        text = lambda value: value["content"] if isinstance(value, dict) else value
        tokens = {path: {k: text(v) for k, v in file.items() if k.endswith("_token") and isinstance(text(v), str)} for path, file in files.items()}
    rendered = {name: [render(source, c, tokens[name]) for c in CONVERSATIONS] for name, source in sources.items()}
    if args.config:
        print(json.dumps({"conversations": CONVERSATIONS, "rendered": rendered}))
        return
    content = {"note": f"by PyPI transformers {transformers.__version__}; see bench/peers/reference_chat_templates.py", "tokens": TOKENS, "conversations": CONVERSATIONS, "templates": sources, "rendered": rendered}
    pathlib.Path(args.out).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

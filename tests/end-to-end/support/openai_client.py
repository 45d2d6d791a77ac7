"""Asks a service through OpenAI's Python client, as its documentation does, and prints what came as JSON."""
import json
import sys

import openai

url, key = sys.argv[1], sys.argv[2]
client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
messages = [{"role": "user", "content": "w3 w7"}]
whole = client.chat.completions.create(model="tiny", messages=messages, max_tokens=6, temperature=0)
chunks = list(
    client.chat.completions.create(
        model="tiny",
        messages=messages,
        max_tokens=6,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
)
completion = client.completions.create(model="tiny", prompt="w3", max_tokens=3)
refusals = {}
for name, body in {
    "unknown": {"model": "nobody"},
    "tools": {"model": "tiny", "tools": [{"type": "function", "function": {"name": "f"}}]},
}.items():
    try:
        client.chat.completions.create(messages=messages, **body)
    except openai.APIStatusError as error:
        refusals[name] = [type(error).__name__, error.code, error.param]
print(
    json.dumps(
        {
            "models": [model.id for model in client.models.list()],
            "whole": whole.choices[0].message.content,
            "streamed": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
            "finish": [c.choices[0].finish_reason for c in chunks if c.choices],
            "usage": [chunks[-1].usage.total_tokens, whole.usage.total_tokens],
            "tokens": len(completion.choices[0].text.split()),
            "refusals": refusals,
        }
    )
)

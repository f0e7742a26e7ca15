"""Drives the simulated OpenAI Realtime server with the official SDK.

    pip install openai==3.54.0 websockets
    python openai_sdk.py ws://127.0.0.1:9100/v1 path/to/speech.ulaw

The server must run already, with one tool to call in the second turn:

    holdline-openai-sim --listen 127.0.0.1:9100 --key good --tool 'book_slot={"time":"11:15"}' --tool-turn 2 --speed 1

Every event must be of a type that the SDK knows, and must validate against that type with
nothing missing. Exit status 0 when all is well.
"""

import asyncio
import base64
import sys
import typing

from openai import AsyncOpenAI
from openai.types.realtime import realtime_server_event

SILENCE = b"\xff" * 160


def event_types():
    union = realtime_server_event.RealtimeServerEvent
    if typing.get_origin(union) is typing.Annotated:
        union = typing.get_args(union)[0]
    types = {}
    for model in typing.get_args(union):
        types[typing.get_args(model.model_fields["type"].annotation)[0]] = model
    return types


KNOWN = event_types()


class Checker:
    """Receives events and refuses any that the SDK does not fully understand."""

    def __init__(self, connection):
        self.connection = connection
        self.seen = {}
        self.log = []

    async def next(self, timeout=20):
        raw = await asyncio.wait_for(self.connection.recv_bytes(), timeout)
        event = self.connection.parse_event(raw)
        assert event.type in KNOWN, f"unknown event type {event.type}"
        model = KNOWN[event.type]
        assert isinstance(event, model), f"{event.type} parsed as {type(event)}"
        model.model_validate_json(raw, strict=False)
        if event.type == "response.done":
            assert event.response.usage.total_tokens > 0
        self.seen[event.type] = self.seen.get(event.type, 0) + 1
        self.log.append(event)
        return event

    async def until(self, kind, matching=lambda event: True):
        while True:
            event = await self.next()
            if event.type == kind and matching(event):
                return event


async def say(connection, audio, stop=lambda: False):
    """Appends speech in real time, until told to stop."""
    for start in range(0, len(audio), 160):
        if stop():
            return
        frame = audio[start : start + 160]
        await connection.input_audio_buffer.append(audio=base64.b64encode(frame).decode())
        await asyncio.sleep(0.018)


async def session(base_url, audio):
    client = AsyncOpenAI(api_key="good", websocket_base_url=base_url)
    async with client.realtime.connect(model="gpt-realtime") as connection:
        check = Checker(connection)
        created = await check.until("session.created")
        assert created.session.type == "realtime"
        await connection.session.update(
            session={
                "type": "realtime",
                "output_modalities": ["audio"],
                "instructions": "You are the receptionist.",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcmu"},
                        "transcription": {"model": "gpt-4o-mini-transcribe"},
                        "turn_detection": {
                            "type": "server_vad",
                            "silence_duration_ms": 500,
                            "create_response": True,
                            "interrupt_response": True,
                        },
                    },
                    "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
                },
                "tools": [{"type": "function", "name": "book_slot", "parameters": {"type": "object", "properties": {}}}],
            }
        )
        updated = await check.until("session.updated")
        assert updated.session.audio.input.format.type == "audio/pcmu"

        print("turn 1: speech, found by voice activity detection and answered")
        await say(connection, SILENCE * 25 + audio + SILENCE * 40)
        started = await check.until("input_audio_buffer.speech_started")
        committed = await check.until("input_audio_buffer.committed")
        assert started.item_id == committed.item_id
        added = await check.until("response.output_item.added")
        delta = await check.until("response.output_audio.delta")
        assert len(base64.b64decode(delta.delta)) == 1600

        print("turn 2: barge-in while the answer is being generated")
        speaking = asyncio.create_task(say(connection, audio + SILENCE * 60))
        await check.until("input_audio_buffer.speech_started")
        done = await check.until("response.done")
        assert done.response.status == "cancelled", done.response.status
        assert done.response.status_details.reason == "turn_detected"
        await connection.conversation.item.truncate(item_id=added.item.id, content_index=0, audio_end_ms=100)
        await check.until("conversation.item.truncated")
        await connection.conversation.item.truncate(item_id=added.item.id, content_index=0, audio_end_ms=999_999)
        error = await check.until("error")
        assert "already shorter" in error.error.message

        print("turn 2 is answered with a tool call")
        call = await check.until("response.function_call_arguments.done")
        assert call.name == "book_slot" and call.arguments == '{"time":"11:15"}', call
        await check.until("response.done")
        await speaking
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": '{"ok":true}'}
        )
        await connection.response.create()
        await check.until("response.output_audio.delta")
        await connection.response.create()
        error = await check.until("error")
        assert error.error.code == "conversation_already_has_active_response"
        await connection.response.cancel()
        done = await check.until("response.done")
        assert done.response.status_details.reason == "client_cancelled"

        print("items: text of all roles, retrieve, delete")
        for role, kind in [("system", "input_text"), ("user", "input_text"), ("assistant", "output_text")]:
            await connection.conversation.item.create(
                item={"type": "message", "role": role, "id": f"text_{role}", "content": [{"type": kind, "text": role}]}
            )
            item = await check.until("conversation.item.done", lambda event: event.item.id == f"text_{role}")
            assert item.item.content[0].text == role
        await connection.conversation.item.retrieve(item_id=committed.item_id)
        retrieved = await check.until("conversation.item.retrieved")
        assert len(base64.b64decode(retrieved.item.content[0].audio)) > 8000
        await connection.conversation.item.delete(item_id="text_user")
        await check.until("conversation.item.deleted")

        print("a text response outside of the conversation")
        await connection.response.create(response={"conversation": "none", "output_modalities": ["text"], "metadata": {"k": "v"}})
        done = await check.until("response.done")
        assert done.response.output[0].content[0].text and done.response.metadata == {"k": "v"}
        await connection.input_audio_buffer.clear()
        await check.until("input_audio_buffer.cleared")
        return check.seen


async def bad_key(base_url):
    print("a bad key is told after the upgrade")
    client = AsyncOpenAI(api_key="bad", websocket_base_url=base_url)
    try:
        async with client.realtime.connect(model="gpt-realtime") as connection:
            check = Checker(connection)
            error = await check.next()
            assert error.type == "error" and error.error.code == "invalid_api_key"
            await check.next()
    except Exception as closed:  # The SDK hands on what its WebSocket library raises.
        assert "3000" in str(closed) and "invalid_api_key" in str(closed), closed
        return
    raise AssertionError("a bad key was accepted")


async def main():
    base_url, speech = sys.argv[1], sys.argv[2]
    with open(speech, "rb") as file:
        audio = file.read()
    seen = await session(base_url, audio)
    await bad_key(base_url)
    needed = {
        "session.created", "session.updated", "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done",
        "conversation.item.input_audio_transcription.delta", "conversation.item.input_audio_transcription.completed",
        "response.created", "response.output_item.added", "response.content_part.added",
        "response.output_audio_transcript.delta", "response.output_audio.delta", "response.output_audio.done",
        "response.output_audio_transcript.done", "response.content_part.done", "response.output_item.done",
        "response.done", "rate_limits.updated", "response.function_call_arguments.delta", "response.output_text.delta",
        "response.output_text.done",
    }
    missing = needed - set(seen)
    assert not missing, f"never seen: {sorted(missing)}"
    for kind in sorted(seen):
        print(f"{seen[kind]:5} {kind}")


asyncio.run(main())

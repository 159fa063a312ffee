"""Speak words with eSpeak NG. Run as a program of its own: the library is GPL, and hrsnn does not link to it.

Reads a JSON list of [text, voice, words per minute, pitch, pitch range, volume] (the last three from 0 to 100)
and writes a JSON list of WAV files in base64.
"""

import base64
import ctypes
import io
import json
import sys
import wave

import espeakng_loader

SYNCHRONOUS, DO_NOT_EXIT, UTF8 = 2, 0x8000, 1
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4
RECEIVER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main() -> None:
    espeak = ctypes.CDLL(espeakng_loader.get_library_path())
    sampling_rate = espeak.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), DO_NOT_EXIT)
    if sampling_rate < 1:
        raise SystemExit("eSpeak NG does not start: its data are missing or of another version")
    spoken = bytearray()

    def receive(samples, count, _events):
        if samples and count > 0:
            spoken.extend(ctypes.string_at(samples, 2 * count))
        return 0

    receiver = RECEIVER(receive)  # kept alive as long as the library may call it
    espeak.espeak_SetSynthCallback(receiver)
    files = []
    for text, voice, *settings in json.load(sys.stdin):
        if espeak.espeak_SetVoiceByName(voice.encode()):
            raise SystemExit(f"eSpeak NG has no voice {voice!r}")
        for parameter, value in zip((RATE, PITCH, RANGE, VOLUME), settings, strict=True):
            espeak.espeak_SetParameter(parameter, value, 0)
        spoken.clear()
        espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))  # of breath and flutter
        raw = text.encode() + b"\0"
        if espeak.espeak_Synth(raw, ctypes.c_size_t(len(raw)), 0, 0, 0, UTF8, None, None) or not spoken:
            raise SystemExit(f"eSpeak NG cannot say {text!r}")
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setparams((1, 2, sampling_rate, 0, "NONE", ""))
            file.writeframes(bytes(spoken))
        files.append(base64.b64encode(stream.getvalue()).decode())
    json.dump(files, sys.stdout)


if __name__ == "__main__":
    main()

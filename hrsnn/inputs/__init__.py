"""What networks perceive: numbers, sounds, events and photographs become samples, and samples become spikes."""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "encoders": ["Encoder", "FrameEncoder", "LatencyEncoder", "PoissonEncoder", "PopulationEncoder"],
        "codes": ["CurrentCode", "PopulationCode", "RateCode"],
        "cochlea": ["LyonEar"],
        "sounds": ["Contrast", "cochleagrams", "sound_series"],
        "events": ["event_series"],
        "photographs": ["PhotographView"],
        "views": ["ContrastNormalisation", "OnOffView", "OrientationView"],
    },
)

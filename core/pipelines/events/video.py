"""Video events: playback, content and ads.

Source: https://docs.customer.io/integrations/data-in/semantic-events/video/
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypedDict

from core.pipelines.events.event import Event, Family
from core.pipelines.events.shape import Most
from core.pipelines.items import Fields, Time

AdType: TypeAlias = Literal["pre-roll", "mid-roll", "post-roll"]


class Player(TypedDict, total=False):
    """The state of the player."""

    session_id: str
    ad_asset_id: str
    ad_pod_id: str
    ad_type: AdType
    position: int
    total_length: int
    bitrate: int
    framerate: int
    video_player: str
    sound: Annotated[int, Most(100)]
    full_screen: bool
    ad_enabled: bool
    quality: str
    livestream: bool


class Start(Player, total=False):
    """The state of the player, and all content that will be played."""

    content_asset_ids: list[str]
    content_pod_ids: list[str]


class Playback(Player, total=False):
    """The state of the player, and the current content."""

    content_asset_id: str
    content_pod_id: str


class Interruption(Playback, total=False):
    """Playback and the reason of the interruption, such as a call."""

    method: str


class Quality(TypedDict, total=False):
    """The quality of the video stream."""

    bitrate: int
    framerate: int
    # The vendor spells these two in camel case.
    startupTime: int
    droppedFrames: int


class VideoContent(TypedDict, total=False):
    """A segment of the content."""

    session_id: str
    asset_id: str
    pod_id: str
    program: str
    title: str
    description: str
    season: str
    position: int
    total_length: int
    genre: str
    publisher: str
    channel: str
    full_episode: bool
    livestream: bool
    airdate: Time
    bitrate: int
    framerate: int
    keywords: list[str]


class Ad(TypedDict, total=False):
    """An ad; `content` is the `VideoContent` that it interrupts."""

    session_id: str
    asset_id: str
    pod_id: str
    pod_position: int
    pod_length: int
    type: AdType
    title: str
    position: int
    total_length: int
    publisher: str
    load_type: Literal["dynamic", "linear"]
    content: Fields
    quartile: int


class Video(Family):
    """Video events."""

    __slots__ = ()

    playback_started = Event("Video Playback Started", Start)
    playback_paused = Event("Video Playback Paused", Playback)
    playback_interrupted = Event("Video Playback Interrupted", Interruption)
    playback_buffer_started = Event("Video Playback Buffer Started", Playback)
    playback_buffer_completed = Event("Video Playback Buffer Completed", Playback)
    playback_seek_started = Event("Video Playback Seek Started", Playback)
    playback_seek_completed = Event("Video Playback Seek Completed", Playback)
    playback_resumed = Event("Video Playback Resumed", Playback)
    playback_completed = Event("Video Playback Completed", Playback)
    playback_exited = Event("Video Playback Exited", Playback)
    quality_updated = Event("Video Quality Updated", Quality)
    content_started = Event("Video Content Started", VideoContent)
    content_playing = Event("Video Content Playing", VideoContent)
    content_completed = Event("Video Content Completed", VideoContent)
    ad_started = Event("Video Ad Started", Ad)
    ad_playing = Event("Video Ad Playing", Ad)
    ad_completed = Event("Video Ad Completed", Ad)

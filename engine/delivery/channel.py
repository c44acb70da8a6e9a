"""The channel: one candidate's WebSocket, `GET /v1/channel`.

Promise: saves are answered in the order of their frames, each with `saved` or an `error`; `saved` means what it means
over HTTP, because it is the same function. What the candidate must know without asking (time, paper key, end, takeover,
`committed`) comes by itself.
How: a message's bytes go to `Autosave.begin_changes`; its answer comes back as a call. Who sends more than is answered
is not read from for a while. Between two messages a channel is this object and its socket, and no task.
Not here: the handshake (channel_upgrade.py), frames (websocket.py), who hears what when (channel_watch.py).

What ends a channel: a broken frame (1002, 1003, 1007, 1009 as RFC 6455 says); no hello in time or a refused one, a
takeover, a flood (1008 after an error frame); a store that is away at hello (1013); a worker that stops (1012). After
hello a message that cannot be understood is refused by an error frame, and the channel goes on.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from engine import log
from engine.delivery import channel_messages as messages
from engine.delivery import frames
from engine.delivery.channel_messages import Hello, Save
from engine.delivery.channel_news import Look, PartitionNews
from engine.delivery.lane import Saved
from engine.delivery.resources import ArmedBatch
from engine.delivery.sitting import edges_with_end
from engine.delivery.websocket import Stage, WebSocket
from engine.rules import timing
from engine.rules.errors import ExamError, Refused
from engine.rules.limits import (
    CHANNEL_PING_OFTEN_S,
    CHANNEL_PING_S,
    CHANNEL_PING_WATCHED_S,
    CHANNEL_SIGN_S,
    CHANNEL_UNANSWERED_BYTES_MAX,
    CHANNEL_UNANSWERED_MAX,
    CHANNEL_UNHEARD_S,
    CHANNEL_WATCHED_S,
)
from engine.rules.outcome import Outcome, refusal
from engine.rules.photo import PhotoState, photo_state
from engine.rules.terms import SittingState
from engine.sealing.token import Token

if TYPE_CHECKING:
    from engine.delivery.channel_watch import Channels

_STEPS = {state: step for step, state in enumerate(SittingState)}  # in the order in which they come
_PHOTO_TEXT = "what is known of this sitting's photo has changed"
_FINAL_STATES = (SittingState.SUBMITTED, SittingState.COLLECTED, SittingState.ABSENT, SittingState.VOID)


class Channel(WebSocket):
    """One candidate's connection. `stage` OPEN: `hello` has been answered."""

    __slots__ = (
        "_asked_s",
        "_channels",
        "_ending",
        "_ends_ms",
        "_first_unsure",
        "_has_key",
        "_last_unsure",
        "_photo",
        "_shown_s",
        "_state",
        "_told_closed",
        "_told_generation",
        "_unanswered",
        "_unanswered_bytes",
        "_watched_s",
        "armed",
        "moment_ms",
        "news",
        "token",
        "turn",
        "unsure_generation",
    )

    def __init__(self, channels: Channels) -> None:
        super().__init__(channels.now_s)
        self._channels = channels
        # In frame order: the bytes of a save under way, or an answer that waits for those before it.
        self._unanswered: list[int | bytes] = []
        self._unanswered_bytes = 0
        self._ending: tuple[int, bytes] | None = None  # LEAVING: close code and last words
        self.token: Token | None = None
        self.armed: ArmedBatch | None = None
        self._state = SittingState.EXPECTED
        self._ends_ms = 0
        self._photo = ""  # what is known of it, as in the sitting's hash
        self._has_key = False
        self._told_closed = ""
        self._told_generation = -1
        # When it was first asked for a life sign that has not come, last given one, and last looked at by proctors.
        self._asked_s = self._shown_s = self._watched_s = -math.inf
        self.unsure_generation = 0
        self._first_unsure = self._last_unsure = 0  # positions of this channel's saves that may not be committed
        # Kept by channel_watch.py: where it hears news from hello on, when something is to happen, and in which second
        # it is asked for life.
        self.news: PartitionNews | None = None
        self.moment_ms = self.turn = 0

    # --- the connection ------------------------------------------------------------------------------------------
    @property
    def is_waiting_for_key(self) -> bool:
        return self.stage == Stage.OPEN and not self._has_key and self._may_have_key

    @property
    def _may_have_key(self) -> bool:
        """Pledged, and the photo is no obstacle; the start is another matter."""
        if self.armed is None or self._state != SittingState.PLEDGED:
            return False
        return photo_state(self.armed.prepared.batch.rules, self._photo) != PhotoState.DUE

    @property
    def keeps_others_out(self) -> bool:
        """Whether the batch lets another machine in only after this one has been silent."""
        armed = self.armed
        return self.stage == Stage.OPEN and armed is not None and armed.prepared.batch.rules.takeover == "silent"

    @property
    def quiet_s_max(self) -> int:
        """How long it may say nothing before it is asked whether it lives."""
        if self.keeps_others_out:
            return CHANNEL_PING_OFTEN_S
        is_watched = self._channels.now_s - self._watched_s < CHANNEL_WATCHED_S
        return CHANNEL_PING_WATCHED_S if is_watched else CHANNEL_PING_S

    def keep_alive(self, now_s: float) -> str:
        """Its turn to be asked whether it lives, or shown that the engine does; `unheard` when nobody is there."""
        is_asked = self._asked_s > self.heard_s
        if is_asked and now_s - self._asked_s > CHANNEL_UNHEARD_S:
            return "unheard"
        if is_asked or now_s - self.heard_s >= self.quiet_s_max:
            if not is_asked:
                self._asked_s = now_s
            self._shown_s = now_s
            self.ask_for_life()
        elif now_s - max(self.heard_s, self._shown_s) >= CHANNEL_SIGN_S:
            self._shown_s = now_s
            self.show_life()
        return ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._channels.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._channels.leave(self)

    def end(self, reason: str) -> None:
        self._channels.count_end(reason)

    def now_s(self) -> float:
        return self._channels.now_s

    def must_wait(self) -> bool:
        return (
            self.stage in (Stage.GREETED, Stage.LEAVING)
            or len(self._unanswered) >= CHANNEL_UNANSWERED_MAX
            or self._unanswered_bytes >= CHANNEL_UNANSWERED_BYTES_MAX
        )

    def await_close(self) -> None:
        self._channels.expect_close(self)

    def take_flood(self, error: ExamError) -> None:
        self.dismiss(error, "flood")

    # --- messages ------------------------------------------------------------------------------------------------
    def take_message(self, payload: bytes) -> None:
        try:
            message = messages.read(payload, self.armed)
            if type(message) is Save:
                self._save(message, payload)
            elif type(message) is Hello:
                self._greet(message)
        except ExamError as refused:
            self._refuse(refused)
        except Exception as fault:
            log.logger().exception("channel.internal")
            self._refuse(ExamError("internal", f"{type(fault).__name__}; nothing of the message was done"))

    def _save(self, message: Save, payload: bytes) -> None:
        self._channels.count_frame("save")
        if self.token is None or self.armed is None:
            raise Refused("request.invalid", "expected `hello` before the first save")
        self._channels.autosave.begin_changes(
            self.token, self.armed, message.changes, payload, self._answer, is_frame=True
        )
        self._unanswered.append(len(payload))
        self._unanswered_bytes += len(payload)

    def _answer(self, answer: Saved | ExamError) -> None:
        """The oldest save under way has been answered: a lane keeps the order of a sitting's calls."""
        unanswered = self._unanswered
        size_bytes = unanswered.pop(0)
        assert isinstance(size_bytes, int)
        self._unanswered_bytes -= size_bytes
        if isinstance(answer, Saved):
            self.write(messages.saved_frame(answer))
            stand = answer.stand
            if stand.position > stand.committed:
                self._expect_commit(stand.generation, stand.position, stand.committed)
        else:
            self.write(messages.error_frame(answer))
            if answer.code == "sitting.superseded":
                self._leave(frames.POLICY, b"", "superseded")
        while unanswered and isinstance(unanswered[0], bytes):
            self.write(unanswered.pop(0))  # type: ignore[arg-type]
        if self.stage == Stage.LEAVING:
            self._leave_when_answered()
        else:
            self.go_on()

    def _refuse(self, error: ExamError) -> None:
        """An error frame, in its turn; before hello it is the last one."""
        if self.stage == Stage.EXPECTED:
            self.dismiss(error, "refused")
        elif self._unanswered:
            self._unanswered.append(messages.error_frame(error))
        else:
            self.write(messages.error_frame(error))

    # --- hello, and what a look tells ----------------------------------------------------------------------------
    def _greet(self, hello: Hello) -> None:
        self._channels.count_frame("hello")
        if self.stage != Stage.EXPECTED:
            raise Refused("request.invalid", "expected `hello` once, and as the first message")
        self.token = self._channels.delivery.verified(hello.token)
        self.stage = Stage.GREETED
        self._channels.greet(self, self.token)

    def see(self, look: Look, armed: ArmedBatch) -> None:
        """The sitting as Redis has it: the answer to hello, and whenever it may have changed unheard."""
        if self.stage not in (Stage.GREETED, Stage.OPEN):
            return
        if look.outcome != Outcome.OK:
            fault = refusal(look.outcome, "autosave")
            if look.outcome == Outcome.SUPERSEDED:
                self.dismiss(fault, "superseded")
            else:
                self.see_nothing(fault)
            return
        is_hello = self.stage == Stage.GREETED
        self.stage = Stage.OPEN
        self.armed = armed
        seen = SittingState(look.state)
        # The news may have told more since the look was taken: they come on another connection.
        if is_hello or _STEPS[seen] >= _STEPS[self._state]:
            self._state = seen
        if is_hello or look.ends_ms != self._ends_ms:
            self._ends_ms = look.ends_ms
            self._tell_time(armed, look.now_ms)
        self._take_photo(look.photo)
        if look.high and look.generation != self._told_generation:
            # It has saved before, perhaps through another connection: what of that is committed?
            self.write(messages.committed_frame(look.generation, look.committed))
            if look.position > look.committed:
                self._expect_commit(look.generation, look.position, look.committed)
        self._told_generation = look.generation
        self.advance(look.now_ms)
        self.go_on()

    def see_nothing(self, fault: ExamError) -> bool:
        """The look failed. True when this channel needs another; one that has just said hello, or is refused, goes."""
        if isinstance(fault, Refused):
            self.dismiss(fault, "refused")
        elif self.stage == Stage.GREETED:
            self._leave(frames.TRY_LATER, messages.error_frame(fault), "refused")
        return self.stage == Stage.OPEN

    def _tell_time(self, armed: ArmedBatch, now_ms: int) -> None:
        edges = edges_with_end(armed, self._ends_ms)
        self.write(
            messages.frame(
                {
                    "type": "time",
                    "server_ms": now_ms,
                    "starts_ms": edges.starts_ms,
                    "ends_ms": edges.ends_ms,
                    "remaining_ms": timing.remaining_ms(edges, now_ms),
                    "state": timing.state_at(self._state, edges, now_ms),
                }
            )
        )

    # --- what time and others bring ------------------------------------------------------------------------------
    def advance(self, now_ms: int) -> None:
        """Tell what has become true by `now_ms` of Redis's clock, and note when to look again."""
        if self.stage != Stage.OPEN or self.armed is None or self.token is None:
            return
        edges = edges_with_end(self.armed, self._ends_ms)
        state = timing.state_at(self._state, edges, now_ms)
        if state in _FINAL_STATES:
            if self._told_closed != state:
                self._told_closed = state
                self.write(messages.frame({"type": "closed", "state": state}))
            self._channels.expect_moment(self, 0)
            return
        self._told_closed = ""
        if state == SittingState.IN_PROGRESS and not self._has_key and self._may_have_key:
            frame = self._channels.keys.key_frame(self, self.armed, self.token.sitting_id)
            if frame is not None:
                self.write(frame)
                self._has_key = True
        self._channels.expect_moment(self, edges.starts_ms if now_ms < edges.starts_ms else edges.closes_ms)

    def hear(self, news: str, now_ms: int) -> None:
        """News of this sitting, as a script has written it."""
        kind, _, value = news.partition(":")
        if self.stage == Stage.GREETED or kind == "time":
            self._channels.look(self)  # GREETED: the look under way may be older than the news
        elif kind == "look":
            # Its room is watched, and a look notes that the machine lives: one of which nothing is heard may be dead.
            self._watched_s = self._channels.now_s
            if self._channels.now_s - self.heard_s <= self.quiet_s_max:
                self._channels.look(self)
            else:
                self.keep_alive(self._channels.now_s)  # its answer counts when the room is looked at again
        elif kind == "epoch":
            if self.token is not None and int(value) > int(self.token.epoch):
                self.dismiss(refusal(Outcome.SUPERSEDED, "autosave"), "superseded")
        elif kind == "state":
            self._state = SittingState(value)
            self.advance(now_ms)
        elif kind == "photo":
            self._take_photo(value)
            self.advance(now_ms)

    def _take_photo(self, photo: str) -> None:
        """From news or from a look, whichever comes first; what was done stays done, whatever an older look says."""
        if photo and photo != self._photo:
            self._photo = photo
            self.write(messages.frame({"type": "notice", "code": f"photo.{photo}", "text": _PHOTO_TEXT}))

    def is_owed(self, generation: int, due: int) -> bool:
        """Whether it has a save at or before `due` that nothing has told to be committed, or one that is void."""
        return generation != self.unsure_generation or self._first_unsure <= due

    def hear_committed(self, generation: int, committed: int, frame: bytes) -> bool:
        """How far the log is committed; True when this channel has nothing more to wait for."""
        if generation != self.unsure_generation or committed < self._first_unsure:
            return generation > self.unsure_generation
        self.write(frame)
        self._first_unsure = committed + 1
        return committed >= self._last_unsure

    def _expect_commit(self, generation: int, position: int, committed: int) -> None:
        """A save stands at `position`; the client has just been told how far the log is committed."""
        if self.news is None or self.stage not in (Stage.OPEN, Stage.LEAVING):
            return
        if generation < self.unsure_generation:
            return  # a look on its way while the generation rose; what was saved since is what counts
        if generation != self.unsure_generation or self._last_unsure < max(self._first_unsure, committed + 1):
            self.unsure_generation, self._first_unsure = generation, position  # all before it is told
        elif self._first_unsure <= committed:
            self._first_unsure = committed + 1  # an acknowledgement tells it, too
        self._last_unsure = position
        self.news.expect_commit(self)

    # --- the end -------------------------------------------------------------------------------------------------
    def dismiss(self, error: ExamError, reason: str) -> None:
        """Its end, and why."""
        self._leave(frames.POLICY, messages.error_frame(error), reason)

    def move(self, text: str) -> None:
        """This worker stops: the client is to connect again, which leads to another."""
        self.write(messages.frame({"type": "notice", "code": "moving", "text": text}))
        self._leave(frames.RESTART, b"", "moving")

    def _leave(self, close_code: int, last_words: bytes, reason: str) -> None:
        """Close after everything under way is answered."""
        if self.stage >= Stage.LEAVING:
            return
        self.stage = Stage.LEAVING
        self.end(reason)
        self._ending = (close_code, last_words)
        self._leave_when_answered()

    def _leave_when_answered(self) -> None:
        if self._unanswered or self._ending is None:
            return
        close_code, last_words = self._ending
        if last_words:
            self.write(last_words)
        self.close(close_code)

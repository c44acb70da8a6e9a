"""A published batch or two, a courier, and a receiver of webhooks."""

from __future__ import annotations

import asyncio

from engine.courier.courier import Courier, Pace
from engine.courier.fan_out import fan_out
from engine.courier.post import Post
from engine.rules.addresses import read_networks
from engine.rules.webhook import shown_secret
from engine.scoring.grader import Grader
from engine.sealing.provider import FileProvider, webhook_purpose
from engine.sealing.signature import Signer
from engine.stores.postgres import Postgres
from tests.integration.exam import GRADER_KEY, Exam, as_role
from tests.receiver import Message, Receiver

SIGNER = Signer(b"r" * 32)
PROVIDER = FileProvider(b"k" * 32)
SECRET = b"s" * 32
AT_ONCE = 0.001  # of a back-off: the next attempt is due when it is looked for
PACE = Pace(timeout_s=5.0, retry_first_s=AT_ONCE, retry_max_s=AT_ONCE, give_up_s=3600.0)


class Pushing:
    """An exam's stores, with webhooks to a receiver of its own."""

    def __init__(self, exam: Exam, postgres_dsn: str) -> None:
        self.exam = exam
        self.receiver = Receiver(shown_secret(SECRET))
        self.database = Postgres(as_role(postgres_dsn, "courier"), 4)
        self.couriers: list[Courier] = []
        self.posts: list[Post] = []

    def courier(self, pace: Pace = PACE, networks: str = "127.0.0.0/8") -> Courier:
        post = Post(read_networks(networks), pace.timeout_s)
        courier = Courier(self.database, PROVIDER, post, pace)
        self.posts.append(post)
        self.couriers.append(courier)
        return courier

    async def webhook(self, webhook_id: str = "hook", url: str = "", batches: list[str] | None = None) -> None:
        await self.exam.query(
            "INSERT INTO webhook SELECT $1, $2, $3, 0, last_publication FROM feed RETURNING 1",
            webhook_id,
            url or self.receiver.url,
            batches,
        )
        await self.exam.query(
            "INSERT INTO webhook_secret VALUES ($1, 'd', $2, 0) RETURNING 1",
            webhook_id,
            PROVIDER.wrap(webhook_purpose(webhook_id), SECRET),
        )

    async def publish(self, batch_id: str, sittings: int) -> list[str]:
        """Grade so many absent candidates of a new batch; their sittings in the order of publication."""
        other = Exam.beside(self.exam, batch_id)
        await other.arm(*(f"{batch_id}-{number:03d}" for number in range(sittings)))
        await self.exam.query("UPDATE sitting SET state = 'absent' WHERE batch_id = $1 RETURNING 1", batch_id)
        grader = Grader(self.exam.grader_database, GRADER_KEY, SIGNER)
        while await grader.grade():
            pass
        rows = await self.exam.query("SELECT sitting_id FROM result WHERE batch_id = $1 ORDER BY publication", batch_id)
        return [sitting_id for (sitting_id,) in rows]

    async def made(self) -> None:
        while await fan_out(self.database):
            pass

    async def state(self) -> dict[str, int]:
        rows = await self.exam.query("SELECT state, count(*) FROM webhook_delivery GROUP BY state")
        return dict(rows)

    async def deliver(self, *couriers: Courier, until_state: dict[str, int]) -> None:
        """Let the couriers work until the deliveries stand like that."""
        async with asyncio.timeout(60):
            while await self.state() != until_state:
                for courier in couriers:
                    await courier.begin()
                    await courier.wait(0.01)

    async def close(self) -> None:
        for courier in self.couriers:
            await courier.leave(0)
        for post in self.posts:
            await post.close()
        await self.receiver.stop()
        await self.database.close()


def sittings(messages: list[Message], batch_id: str) -> list[str]:
    """Of these messages, each id once: the sittings of one batch, in the order in which they came."""
    seen = {message.id: message for message in reversed(messages)}
    ordered = [message for message in messages if seen.get(message.id) is message]
    return [message.result["sitting_id"] for message in ordered if message.batch_id == batch_id]

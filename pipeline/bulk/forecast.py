"""What a job is about to do: how many items, how long, for how much."""

from dataclasses import dataclass

from pipeline.bulk.plan import Plan, Rates


@dataclass(frozen=True)
class Forecast:
    """A plan in figures.

    items: of the shard; done: by earlier calls. processes: of each shard. seconds: of what is to
    do, None where of some items nothing was measured; unmeasured: how many these are.
    price_per_hour: of one machine, in whatever currency.
    """

    items: int
    done: int
    to_do: int
    shards: int
    processes: int
    seconds: float | None
    unmeasured: int
    price_per_hour: float | None

    @property
    def cost(self) -> float | None:
        """Price of the time, None where one of them is not known."""
        if self.seconds is None or self.price_per_hour is None:
            return None
        return self.price_per_hour * self.seconds / 3600

    def lines(self) -> list[str]:
        """For a person."""
        lines = [
            f"Items     {self.items}: {self.done} done, {self.to_do} to do",
            f"Shards    {self.shards}, {self.processes} processes each",
        ]
        if self.to_do == 0:
            lines += ["Time      none"]
        elif self.seconds is None:
            lines += [
                f"Time      unknown for {self.unmeasured} of {self.to_do} items: nothing was"
                " measured on this machine with these settings; a run measures"
            ]
        else:
            each = 60 * self.to_do / self.seconds if self.seconds else 0.0
            time = f"{_duration(self.seconds)} at {each:.1f} items a minute"
            lines += [f"Time      {time}, as measured here"]
        if self.price_per_hour is not None:
            cost = (
                "unknown, as the time is"
                if self.cost is None
                else f"{self.cost:.2f} at {self.price_per_hour:g} an hour of one machine"
            )
            lines += [f"Cost      {cost}"]
        return lines


def forecast(
    plan: Plan, rates: Rates, processes: int, shards: int, price: float | None
) -> Forecast:
    """The forecast of a plan. price: of an hour of one machine."""
    seconds, unknown = rates.expected(plan, processes)
    return Forecast(
        items=plan.total,
        done=plan.done,
        to_do=plan.todo.count,
        shards=shards,
        processes=processes,
        seconds=None if unknown else seconds,
        unmeasured=unknown,
        price_per_hour=price,
    )


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {left:02d} s"

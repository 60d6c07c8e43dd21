"""The decoders' side of the embedding flow: from a pending photo to facts, pixels or a reason."""

from __future__ import annotations

from pathlib import Path

from errors import CorruptImageError, DecoderCrashError, DecoderTimeoutError, PhotoSkipped
from image_loader import LoadedImage, Traits
from pipeline.buffer import Buffer
from pipeline.disk_watch import DiskWatch
from pipeline.feed import Feed, Item
from pipeline.isolation import IsolatedLoader
from pipeline.keeping import Examined, Keeper
from pipeline.sharing import Claim, Follower, SharedContent
from pipeline.tally import Outcome


class Examining:
    """What each decoder thread does, with a worker process of its own."""

    def __init__(
        self,
        photos_dir: Path,
        edge: int | None,
        feed: Feed,
        shared: SharedContent,
        keeper: Keeper,
        disk: DiskWatch,
        ready: Buffer[Examined],
    ) -> None:
        self._photos_dir = photos_dir
        self._edge = edge
        self._feed = feed
        self._shared = shared
        self._keeper = keeper
        self._disk = disk
        self._ready = ready

    def run(self) -> None:
        """Examine until the feed has nothing more."""
        with IsolatedLoader() as loader:
            while (item := self._feed.next()) is not None:
                self._examine(loader, item)

    def _examine(self, loader: IsolatedLoader, item: Item) -> None:
        path = self._photos_dir / item.photo.rel_path
        claim = Claim(self._shared)
        try:
            examined = loader.examine(path, self._edge, claim)
        except (DecoderCrashError, DecoderTimeoutError) as error:
            self._let_go(claim)
            if item.alone:
                self._keeper.failed(item, Outcome.CORRUPT, error)
            else:
                self._feed.suspect(item)
        except CorruptImageError as error:
            self._let_go(claim)
            self._keeper.failed(item, Outcome.CORRUPT, error)
        except PhotoSkipped as error:
            self._let_go(claim)
            self._keeper.failed(item, Outcome.UNREADABLE, error)
            self._disk.unreadable()
        else:
            self._disk.readable()
            self._route(item, examined.loaded, examined.traits)

    def _route(self, item: Item, loaded: LoadedImage, traits: Traits | None) -> None:
        if traits is not None:
            self._ready.put(Examined(item, loaded, traits))
        elif not self._shared.follow(Follower(item, loaded)):
            self._keeper.recognised([Follower(item, loaded)])

    def _let_go(self, claim: Claim) -> None:
        """Copies of a photo that failed are tried themselves."""
        if claim.leads is not None:
            self._feed.put_back(f.item for f in self._shared.release(claim.leads))

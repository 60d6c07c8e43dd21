"""`cluster_report.md`: the report to skim, in a few pages whatever the size of the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np

from picture_captioner.errors import count
from picture_captioner.journal.durable import replacing
from picture_captioner.report.model import (
    NOISE,
    Chunk,
    Cluster,
    DuplicateGroup,
    Level,
    Likeness,
    People,
    Report,
)
from picture_captioner.report.summary import counts
from picture_captioner.report.text import markdown, markdown_name, shortened

FILE_NAME = "cluster_report.md"

CLUSTERS_SHOWN = 60
CHUNKS_SHOWN = 100
GROUPS_SHOWN = 40
PEOPLE_SHOWN = 100
NOISE_SHOWN = 10
CAPTIONS_PER_CLUSTER = 3
MEMBERS_PER_GROUP = 6
CAPTION_CHARACTERS = 160


def write_markdown(report: Report, out_dir: Path) -> Path:
    """Write the report as CommonMark.

    Raises:
        OSError: it cannot be written; an older one is as it was.
    """
    path = out_dir / FILE_NAME
    with replacing(path) as stream:
        stream.writelines(f"{line}\n".encode() for line in _lines(report))
    return path


def _lines(report: Report) -> Iterator[str]:
    yield from _head(report)
    yield from _clusters(report)
    yield from _timeline(report)
    if report.people and report.people.persons:
        yield from _people(report.people, report.head.commands["people list"])
    yield from _duplicates(report)
    yield from _noise(report)


def _head(report: Report) -> Iterator[str]:
    head, number = report.head, counts(report)
    yield "# Cluster report"
    yield ""
    yield f"- made {_time(head.made_at)} from {count(number['photos'], 'photo')}"
    if head.themes_go_by:
        yield f"- {markdown(head.themes_go_by)}"
    yield f"- embedder {markdown(head.embedder)}: {markdown(head.embedder_reason)}"
    seed = "no seed, so the next run may differ" if head.seed is None else f"seed {head.seed}"
    yield (
        f"- engine {markdown(head.engine)}, smallest cluster {count(head.min_cluster_size)}, {seed}"
    )
    yield from (f"- {markdown(note)}" for note in head.notes)
    yield ""
    yield "| photos | captioned | errors | clusters | in no cluster | events | duplicate groups |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    yield (
        f"| {number['photos']:,} | {number['captioned']:,} | {number['errors']:,} "
        f"| {number['clusters']:,} | {report.noise_share:.1%} | {number['events']:,} "
        f"| {number['duplicate_groups']:,} |"
    )
    yield ""


def _clusters(report: Report) -> Iterator[str]:
    yield "## Clusters"
    yield ""
    if not report.clusters:
        yield "None."
        yield ""
    ranked = sorted(report.clusters, key=lambda c: (-len(c.members), c.id))
    for cluster in ranked[:CLUSTERS_SHOWN]:
        yield from _cluster(report, cluster)
    yield from _rest(len(ranked) - CLUSTERS_SHOWN, "clusters")


def _cluster(report: Report, cluster: Cluster) -> Iterator[str]:
    named = f"{markdown(cluster.name)}, " if cluster.keywords else ""
    title = f"### Cluster {cluster.id}: {named}{count(len(cluster.members))}"
    yield title
    yield ""
    if cluster.label:
        yield _caption(cluster.label)
        yield ""
    if cluster.keywords:
        yield f"- keywords: {', '.join(map(markdown, cluster.keywords))}"
    yield f"- most typical: {markdown_name(report.photos[cluster.medoid].rel_path)}"
    for text in _other_captions(report, cluster):
        yield f"- {_caption(text)}"
    yield ""


def _other_captions(report: Report, cluster: Cluster) -> Iterator[str]:
    """Captions of further members, from the middle outwards, none of them twice."""
    texts = dict.fromkeys(report.label_of(int(i)) for i in cluster.members[1:])
    return islice((t for t in texts if t and t != cluster.label), CAPTIONS_PER_CLUSTER)


def _timeline(report: Report) -> Iterator[str]:
    events = [chunk for chunk in report.chunks if chunk.level is Level.EVENT]
    trips = [chunk for chunk in report.chunks if chunk.level is Level.TRIP]
    dated = sum(len(event.members) for event in events)
    yield "## Timeline"
    yield ""
    if not events:
        yield "No photo has a capture time."
        yield ""
        return
    if dated < len(report.photos):
        undated = count(len(report.photos) - dated, "photo")
        yield f"Without a capture time, so not in it: {undated}."
        yield ""
    yield from _chunk_table(report, "Trips", trips)
    several = [event for event in events if len(event.members) > 1]
    yield from _chunk_table(report, "Events", several)
    if alone := len(events) - len(several):
        yield f"Photos alone at their time, in no event: {alone:,}."
        yield ""


def _chunk_table(report: Report, title: str, chunks: Sequence[Chunk]) -> Iterator[str]:
    if not chunks:
        return
    largest = sorted(chunks, key=lambda c: (-len(c.members), c.id))[:CHUNKS_SHOWN]
    yield f"### {title}"
    yield ""
    yield "| when | photos | name | place | keywords | most typical |"
    yield "|---|---:|---|---|---|---|"
    for chunk in sorted(largest, key=lambda c: c.id):
        yield (
            f"| {_span(chunk)} | {len(chunk.members):,} | {markdown(chunk.name or '')} "
            f"| {markdown(chunk.place or '')} "
            f"| {', '.join(map(markdown, chunk.keywords))} "
            f"| {markdown_name(report.photos[chunk.typical].rel_path)} |"
        )
    yield ""
    yield from _rest(len(chunks) - CHUNKS_SHOWN, f"{title.lower()}, smaller than these")


def _people(people: People, lists: str) -> Iterator[str]:
    named = [person for person in people.persons if person.name]
    yield "## People"
    yield ""
    yield from (
        f"- {markdown(person.name)}: {count(len(person.members), 'photo')}"
        for person in named[:PEOPLE_SHOWN]
    )
    if unnamed := len(people.persons) - len(named):
        yield f"- without a name: {unnamed:,} (`{lists}`)"
    yield ""
    yield from _rest(len(named) - PEOPLE_SHOWN, "people")


def _duplicates(report: Report) -> Iterator[str]:
    yield "## Duplicates and bursts"
    yield ""
    if not report.duplicates:
        yield "None."
        yield ""
        return
    copies = report.exact_copies()
    for kind in Likeness:
        groups = [group for group in report.duplicates if group.likeness is kind]
        extra = {int(i) for group in groups for i in group.members if i != group.keeper}
        extra = set(copies) if kind is Likeness.EXACT else extra - copies.keys()
        if groups or extra:
            besides = count(len(extra), "photo")
            yield f"- {kind}: {count(len(groups), 'group')}, {besides} besides the keepers"
    yield ""
    for group in report.duplicates[:GROUPS_SHOWN]:
        yield _group(report, group, copies)
    yield ""
    yield from _rest(len(report.duplicates) - GROUPS_SHOWN, "groups")


def _group(report: Report, group: DuplicateGroup, copies: Mapping[int, int]) -> str:
    others = [int(i) for i in group.members if i != group.keeper]
    exact = copies if group.likeness is not Likeness.EXACT else {}
    names = []
    for i in others[:MEMBERS_PER_GROUP]:
        name = markdown_name(report.photos[i].rel_path)
        if (original := exact.get(i, group.keeper)) != group.keeper:
            name += f" (exact copy of {markdown_name(report.photos[original].rel_path)})"
        elif i in exact:
            name += " (exact copy)"
        names.append(name)
    if len(others) > MEMBERS_PER_GROUP:
        names.append(f"{len(others) - MEMBERS_PER_GROUP:,} more")
    kept = markdown_name(report.photos[group.keeper].rel_path)
    return f"- {group.likeness} {group.id}: keep **{kept}**; besides it {', '.join(names)}"


def _noise(report: Report) -> Iterator[str]:
    found = report.clustering
    placed = ~np.isnan(found.position[:, 0])
    noise = np.flatnonzero(placed & (found.cluster == NOISE))
    yield "## In no cluster"
    yield ""
    yield f"{count(len(noise), 'photo')}, {report.noise_share:.1%} of those on the map."
    yield ""
    most_unusual = noise[np.argsort(-found.outlier_score[noise], kind="stable")]
    for i in most_unusual[:NOISE_SHOWN]:
        text = report.label_of(int(i))
        yield f"- {markdown_name(report.photos[i].rel_path)}{': ' if text else ''}{_caption(text)}"
    if len(noise):
        yield ""
    yield from _rest(len(noise) - NOISE_SHOWN, "photos, less unusual than these")
    if without := int(np.count_nonzero(~placed)):
        yield f"Not on the map, for want of a picture or caption: {count(without, 'photo')}."
        yield ""


def _rest(number: int, what: str) -> Iterator[str]:
    if number > 0:
        yield f"... and {number:,} more {what}: see cluster_export.csv."
        yield ""


def _caption(text: str) -> str:
    return markdown(shortened(text, CAPTION_CHARACTERS))


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _span(chunk: Chunk) -> str:
    start, end = (
        _time(time) if chunk.hours else time.date().isoformat() for time in (chunk.start, chunk.end)
    )
    if chunk.hours and chunk.start.date() == chunk.end.date():
        end = f"{chunk.end:%H:%M}"
    return start if start.endswith(end) else f"{start} to {end}"

// Duplicates: groups side by side, the suggested keeper first. Nothing is deleted here.

const LIKENESS = {
  exact: "Identical files",
  near: "Nearly the same",
  burst: "Burst",
};
const MEMBERS_SHOWN = 12;

const keeperFirst = (group) => [group.keeper, ...Array.from(group.members).filter((i) => i !== group.keeper)];

function groupMember(i, group) {
  const facts = [
    columns.width[i] && `${columns.width[i]} × ${columns.height[i]}`,
    columns.size[i] >= 0 && fileSize(columns.size[i]),
  ].filter(Boolean).join(" · ");
  const keeper = i === group.keeper;
  return el("a", {
    class: `member ${keeper ? "keeper" : ""}`, "data-photo": i,
    href: routeHash({ ...current, photo: i }),
    "aria-label": plain(`${keeper ? "Suggested keeper: " : ""}${photo.alt(i)}`),
  },
  el("span", { class: "member-picture" }, picture(i), keeper && el("span", { class: "keep" }, icon("star"), "Keep")),
  el("span", { class: "member-name", dir: "auto", title: plain(photo.path(i)) }, photo.name(i)),
  el("span", { class: "note" }, facts || photo.folder(i)));
}

const groupKind = {
  measure: () => (innerWidth < 560 ? { height: 218 } : { height: 262, column: 520 }),
  render({ group }) {
    const members = keeperFirst(group);
    const rest = members.length - MEMBERS_SHOWN;
    return el("section", { class: "group", role: "listitem", "aria-label": `${LIKENESS[group.likeness]}, ${photosText(group.size)}` },
      el("div", { class: "group-head" }, el("span", {}, LIKENESS[group.likeness]), el("span", { class: "note" }, photosText(group.size)),
        el("a", { class: "note", href: routeHash({ scope: "group", id: group.id }) }, "Gallery")),
      el("div", { class: "members" }, members.slice(0, MEMBERS_SHOWN).map((i) => groupMember(i, group)),
        rest > 0 && el("a", { class: "member rest", href: routeHash({ scope: "group", id: group.id }) }, `${number(rest)} more`)));
  },
};

function showDuplicates(parent) {
  const spare = duplicates.reduce((sum, group) => sum + group.size - 1, 0);
  let bytes = 0;
  for (const group of duplicates) for (const i of group.members) if (i !== group.keeper) bytes += Math.max(0, columns.size[i]);
  const line = duplicates.length
    ? `${plural(duplicates.length, "group")}, ${photosText(spare)} besides the suggested keepers${bytes ? ` (${fileSize(bytes)})` : ""}. The sharpest or largest is suggested; nothing is ever deleted. As a list: cluster_export.csv, where keeper is no.`
    : null;
  parent.append(heading("Duplicates", line));
  if (!duplicates.length) {
    parent.append(empty("No duplicates", "No two photos are the same or nearly the same.", "duplicates"));
    return;
  }
  flow(parent, duplicates.map((group) => ({ kind: "group", group })), { group: groupKind }, "Duplicate groups", 16);
  shownPhotos = Uint32Array.from(duplicates.flatMap(keeperFirst));
}

function groupScope(id) {
  const group = duplicates.find((one) => String(one.id) === id);
  return group && {
    photos: Uint32Array.from(keeperFirst(group)), title: LIKENESS[group.likeness], view: "duplicates", all: "All duplicates",
    line: `${photosText(group.size)}, the suggested keeper first`, keywords: [],
  };
}

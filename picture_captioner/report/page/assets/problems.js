// Problems: photos with errors by reason, and photos that have no caption yet.

const VERDICTS = {
  error_corrupt: "The file cannot be read as a picture",
  error_api: "The service refused the photo",
  error_model: "The model gave no usable caption",
};

/** What to do about it, by the code that the message begins with, else by the verdict. */
const NEXT_BY_CODE = {
  truncated: `copy the file again from where it came, or: ${head.program} run --retry-status error_corrupt --accept-truncated`,
  refused: `ask another model: ${head.program} run --retry-status error_model,error_api --fallback BACKEND:MODEL`,
};
const NEXT = {
  error_corrupt: "copy the file again from where it came; a file that changed is tried again",
  error_api: `try again: ${head.program} run --retry-status error_api`,
  error_model: `try again: ${head.program} run --retry-status error_model`,
};
const nextStep = (i) => NEXT_BY_CODE[photo.error(i).split(":")[0]] ?? NEXT[photo.status(i)];

/** Errors by verdict and message, the most frequent first. */
function reasons() {
  const groups = new Map();
  for (const i of failures) {
    const key = `${photo.status(i)}\n${photo.error(i)}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(i);
  }
  return [...groups.values()].sort((a, b) => b.length - a.length);
}

const rowKind = {
  measure: () => ({ height: 60, column: 340 }),
  render: ({ i }) => el("div", { class: "row", role: "listitem" },
    el("a", { href: routeHash({ ...current, photo: i }), "data-photo": i },
      el("span", { class: "row-picture" }, picture(i, { words: false })),
      el("span", { class: "row-text" },
        el("span", { class: "row-name", dir: "auto" }, photo.name(i)),
        el("span", { class: "note", dir: "auto" }, photo.folder(i))))),
};

function problemItems(groups) {
  const items = [];
  for (const group of groups) {
    items.push({
      kind: "header", class: "reason", height: 58, title: photo.error(group[0]) || "No reason was given",
      note: `${VERDICTS[photo.status(group[0])]} · ${photosText(group.length)} · Next: ${nextStep(group[0])}`,
    });
    for (const i of group) items.push({ kind: "row", i });
  }
  if (pending.length) {
    items.push({ kind: "header", class: "reason", height: 58, title: "Not captioned yet", note: `${photosText(pending.length)} without a record in the journal · Next: ${head.program} run` });
    for (const i of pending) items.push({ kind: "row", i });
  }
  return items;
}

function showProblems(parent) {
  const groups = reasons();
  const line = failures.length
    ? `${photosText(failures.length)} could not be captioned, for ${plural(groups.length, "reason")}.`
    : null;
  parent.append(heading("Problems", line));
  if (!failures.length) parent.append(empty("No errors", count ? "Every photo that was tried has a caption." : "There are no photos.", "star"));
  const items = problemItems(groups);
  if (!items.length) return;
  flow(parent, items, { header: headerKind, row: rowKind }, "Photos with problems", 4);
  shownPhotos = Uint32Array.from(items.filter((item) => item.kind === "row"), (item) => item.i);
}

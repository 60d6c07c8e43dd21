// Problems: photos with errors by reason, and photos that have no caption yet.

const VERDICTS = {
  error_corrupt: "The file cannot be read as a picture",
  error_api: "The service refused the photo",
  error_model: "The model gave no usable caption",
};

const again = (status, ...flags) => [head.commands.run, `--retry-status=${status}`, "--retry-only", ...flags].join(" ");

/** What to do about it in words or a command, by the code that the message begins with, else by the verdict. */
const NEXT_BY_CODE = {
  truncated: ["Copy the file again from where it came, or", "Caption what is left", again("error_corrupt", "--accept-truncated")],
  refused: [null, "Ask another model", again("error_model,error_api", "--fallback=BACKEND:MODEL")],
};
const NEXT = {
  error_corrupt: ["Copy the file again from where it came; a file that changed is tried again"],
  error_api: [null, "Try again", again("error_api")],
  error_model: [null, "Try again", again("error_model")],
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

const reasonKind = {
  /** As tall as its words are wide here. */
  measure: (item) => {
    const probe = reasonKind.render(item);
    $("main").append(probe);
    const height = Math.ceil(probe.getBoundingClientRect().height);
    probe.remove();
    return { height };
  },
  render: ({ title, notes, next: [words, answer, command] }) => el("div", { class: "reason", role: "listitem" },
    el("h2", { dir: "auto" }, title),
    el("p", { class: "note" }, [...notes, words].filter(Boolean).join(" · ")),
    command && typed(answer, command)),
};

function problemItems(groups) {
  const items = [];
  const add = (members, title, notes, next) => {
    items.push({ kind: "reason", title, notes, next });
    for (const i of members) items.push({ kind: "row", i });
  };
  for (const group of groups) {
    const [first] = group;
    add(group, photo.error(first) || "No reason was given", [VERDICTS[photo.status(first)], photosText(group.length)], nextStep(first));
  }
  if (pending.length) add(pending, "Not captioned yet", [`${photosText(pending.length)} without a record in the journal`], [null, "Caption", head.commands.run]);
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
  flow(parent, items, { reason: reasonKind, row: rowKind }, "Photos with problems", 4);
  shownPhotos = Uint32Array.from(items.filter((item) => item.kind === "row"), (item) => item.i);
}

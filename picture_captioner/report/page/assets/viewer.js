// One photo, large, with all that is known of it.

const viewer = $("viewer");
let opener = -1;

function tellFacts(i) {
  const cluster = clusters[clusterOf[i]], event = chunks[eventOf[i]];
  const taken = photo.takenAt(i);
  const groups = duplicates.filter((group) => group.members.includes(i));
  const others = photo.more(i).split("\n").filter((one) => one && !photo.toldPeople(i).includes(one));
  const fact = (name, ...value) => [el("dt", {}, name), el("dd", { dir: "auto" }, value)];
  return el("dl", {},
    !Number.isNaN(taken) && fact("Taken", [WEEKDAY.format(date(taken)), !photo.dayOnly(i) && TIME.format(date(taken))].filter(Boolean).join(", ")),
    photo.camera(i) && fact("Camera", photo.camera(i)),
    photo.place(i) && fact("Near", photo.place(i) + (photo.placeDetail(i) && ` (${photo.placeDetail(i)})`)),
    columns.width[i] > 0 && fact("Size", [`${number(columns.width[i])} × ${number(columns.height[i])}`, columns.size[i] >= 0 && fileSize(columns.size[i])].filter(Boolean).join(" · ")),
    fact("Cluster", cluster
      ? el("a", { href: routeHash({ scope: "cluster", id: cluster.id }), dir: "auto" }, dot(cluster), clusterName(cluster))
      : "none"),
    (peopleOn(i).length > 0 || toldAlone(i).length > 0) && fact("People", peopleLinks(i)),
    event && fact("Event", el("a", { href: routeHash({ scope: "event", id: event.id }), dir: "auto" }, `${chunkTitle(event)}, ${span(event.start, event.end)}`)),
    groups.map((group) => fact("Duplicates", el("a", { href: routeHash({ scope: "group", id: group.id }) }, `${LIKENESS[group.likeness]}, ${photosText(group.size)}`))),
    others.length > 0 && fact("Also said", others.join(" · ")),
    fact("File", photo.path(i).split("/").flatMap((part, k) => (k ? ["/", el("wbr"), part] : [part]))));
}

function tellPhoto(i) {
  const link = photo.link(i);
  return el("div", { class: "facts" },
    photo.title(i) && el("h2", { dir: "auto" }, photo.title(i)),
    photo.caption(i)
      ? el("p", { class: "caption", dir: "auto" }, photo.caption(i))
      : el("p", { class: "caption none" }, photo.failed(i) ? "No caption: this photo has an error." : "No caption yet."),
    photo.placeholder(i) && el("p", { class: "note" }, "A placeholder; a run with a real backend replaces it."),
    (photo.failed(i) || photo.error(i)) && el("p", { class: "error", dir: "auto" }, photo.error(i) || VERDICTS[photo.status(i)]),
    photo.tags(i).length > 0 && keywordChips(photo.tags(i)),
    photo.text(i) && el("section", { class: "written", "aria-label": "Written in the photo" },
      el("pre", { dir: "auto", tabindex: 0 }, ...photo.text(i).split("\n").flatMap((line, k) => (k ? [document.createElement("br"), line] : [line]))),
      el("button", { type: "button", class: "button", click: (event) => copyText(photo.text(i).toWellFormed(), event.currentTarget) }, "Copy text")),
    tellFacts(i),
    el("div", { class: "actions" },
      link !== null && el("a", { class: "button", href: link, target: "_blank", rel: "noopener noreferrer" }, "Open the file"),
      el("button", { type: "button", class: "button", click: (event) => copyText(photo.path(i).toWellFormed(), event.currentTarget) }, "Copy path")));
}

/** Copy, and say so for a moment in the place of `label`'s words. */
async function copyText(words, label) {
  const before = label.textContent;
  let copied = true;
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    const area = el("textarea", { readonly: true, class: "unseen" });
    area.value = words;
    (viewer.open ? viewer : document.body).append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  label.textContent = copied ? "Copied" : "Copying is not allowed here";
  setTimeout(() => { label.textContent = before; }, 1600);
}

/** The thumbnail at once, the original when it is there. */
function stagePicture(i) {
  const shown = picture(i);
  const source = photo.original(i);
  if (source === null) return shown;
  const stage = el("span", { class: "stage-picture" }, shown);
  const large = el("img", { alt: plain(photo.alt(i)), draggable: "false" });
  large.addEventListener("load", () => stage.replaceChildren(large));
  large.src = source;
  return stage;
}

function showPhoto(i) {
  const place = shownPhotos.indexOf(i);
  const total = shownPhotos.length;
  const turn = (step, name, label) => el("button", {
    type: "button", class: `round turn turn-${name}`, "aria-label": label, title: label,
    disabled: place < 0 || place + step < 0 || place + step >= total, click: () => turnPhoto(step),
  }, icon(name));
  viewer.replaceChildren(
    el("div", { class: "stage" }, stagePicture(i), turn(-1, "left", "Previous photo"), turn(1, "right", "Next photo")),
    el("div", { class: "panel", tabindex: -1 },
      el("div", { class: "panel-bar" },
        el("span", { class: "note" }, place >= 0 ? `${number(place + 1)} of ${number(total)}` : ""),
        el("button", { type: "button", class: "round", "aria-label": "Close", title: "Close (Esc)", click: closePhoto }, icon("close"))),
      tellPhoto(i)));
  viewer.setAttribute("aria-label", plain(photo.alt(i)));
  if (!viewer.open) viewer.showModal();
  viewer.querySelector(".panel").focus();
  for (const step of [-1, 1]) {
    const next = place < 0 ? undefined : shownPhotos[place + step];
    if (next !== undefined && photo.thumbnail(next)) new Image().src = photo.thumbnail(next);
  }
}

function turnPhoto(step) {
  const next = shownPhotos[shownPhotos.indexOf(current.photo) + step];
  if (shownPhotos.includes(current.photo) && next !== undefined) go({ ...current, photo: next }, { replace: true });
}

/** Back to the list: one step of history if the photo was opened from it. */
function closePhoto() {
  if (opener === history.length) history.back();
  else go({ ...current, photo: undefined }, { replace: true });
}

viewer.addEventListener("cancel", (event) => {
  event.preventDefault();
  closePhoto();
});
// Browsers close a dialog at a second Esc whatever the page says.
viewer.addEventListener("close", () => {
  if (current.photo !== undefined) closePhoto();
});
viewer.addEventListener("click", (event) => {
  if (event.target === viewer || event.target.classList.contains("stage")) closePhoto();
});

let swipe = null;
viewer.addEventListener("touchstart", (event) => {
  swipe = event.touches.length === 1 && event.target.closest(".stage") ? event.touches[0] : null;
}, { passive: true });
viewer.addEventListener("touchend", (event) => {
  if (!swipe) return;
  const end = event.changedTouches[0];
  const across = end.clientX - swipe.clientX;
  if (Math.abs(across) > 50 && Math.abs(across) > 2 * Math.abs(end.clientY - swipe.clientY)) turnPhoto(across < 0 ? 1 : -1);
  swipe = null;
}, { passive: true });

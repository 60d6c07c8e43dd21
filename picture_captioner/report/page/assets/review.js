// What a human should decide about people, each with the command to type.

const called = (id) => personOf.get(id)?.name || id;

function asks({ about, persons: ids, text: why, cosine }) {
  if (about === "face") return `Is this ${called(ids[0])}?`;
  if (about === "pair") return `Are ${called(ids[0])} and ${called(ids[1])} one person?`;
  if (about === "crowd") return `Is ${called(ids[0])} one person?`;
  return `Contradiction: ${why}`;
}

function askedFaces(question) {
  const link = (href, crop, words) => el("a", { href, "aria-label": plain(words) }, face(crop));
  const shown = question.persons.map((id) => link(routeHash({ scope: "person", id }), personOf.get(id)?.crop, called(id)));
  if (question.photo !== null) shown.unshift(link(routeHash({ ...current, photo: question.photo }), question.crop, "The photo with this face"), "?");
  return shown;
}

const askKind = {
  measure: ({ question }) => {
    if (innerWidth < 560) return { height: (question.persons.length ? 80 : 0) + 76 + 32 * question.answers.length };
    return { height: Math.max(104, 66 + 32 * question.answers.length + (question.about === "contradiction" ? 24 : 0)) };
  },
  render: ({ question }) => el("div", { class: "ask", role: "listitem" },
    question.persons.length > 0 && el("div", { class: "ask-faces" }, askedFaces(question)),
    el("div", { class: "ask-text" },
      el("p", { dir: "auto" }, asks(question)),
      question.about !== "contradiction" && el("p", { class: "note" }, [question.text, question.cosine !== null && `alike by ${question.cosine.toFixed(2)}`].filter(Boolean).join(", ")),
      question.answers.map(([answer, command]) => typed(answer, command)))),
};

function showReview(parent) {
  const questions = raw.people?.questions ?? [];
  const more = raw.people?.more ? ` ${number(raw.people.more)} more: ${head.commands["people review"]}.` : "";
  parent.append(el("a", { class: "back", href: "#view=people" }, icon("left"), "All people"),
    heading("Questions", questions.length ? `Type the command that is right; a click copies it. The next report shows what came of it.${more}` : null));
  if (!questions.length) {
    parent.append(empty("Nothing to decide", "No face is unsure, no two people are too much alike.", "people"));
    return;
  }
  flow(parent, questions.map((question) => ({ kind: "ask", question })), { ask: askKind }, "Questions", 12);
  shownPhotos = Uint32Array.from(questions.filter((one) => one.photo !== null).map((one) => one.photo));
}

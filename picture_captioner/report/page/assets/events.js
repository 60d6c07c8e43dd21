// Events: the timeline by year and month, with days and trips above it.

const LEVEL_NAMES = { event: "Events", day: "Days", trip: "Trips" };
const TIMELINE_BARS = 400;

const atLevel = (level) => chunks.filter((chunk) => chunk.level === level).sort((a, b) => a.start - b.start || a.id - b.id);

function chunkTitle(chunk) {
  if (chunk.name || chunk.place) return chunk.name || chunk.place;
  if (chunk.keywords.length) return listed(chunk.keywords, 3);
  return chunk.level === "day" ? WEEKDAY.format(date(chunk.start)) : span(chunk.start, chunk.end);
}

/** When it was: hours too, if it is of one day and they are known. */
function chunkTime(chunk, short = false) {
  const days = span(chunk.start, chunk.end, short);
  const [from, to] = [TIME.format(date(chunk.start)), TIME.format(date(chunk.end))];
  if (!chunk.hours || !sameDay(chunk.start, chunk.end) || chunk.level === "day") return days;
  return from === to ? `${days}, ${from}` : `${days}, ${from}–${to}`;
}

function chunkCard(chunk) {
  const others = Array.from(chunk.members.slice(0, 40)).filter((i) => i !== chunk.typical);
  const between = [0.33, 0.75].map((share) => others[Math.floor(share * others.length)]);
  return {
    kind: "card",
    card: {
      href: routeHash({ scope: chunk.level, id: chunk.id }),
      photos: [...new Set([chunk.typical, ...between.filter((i) => i !== undefined)])],
      title: chunkTitle(chunk),
      line: `${photosText(chunk.size)} · ${chunkTime(chunk, true)}`,
      size: chunk.size,
      keywords: chunk.name || chunk.place ? [chunk.name && chunk.place, ...chunk.keywords].filter(Boolean).slice(0, 5) : [],
    },
  };
}

function levelSwitch(level) {
  return el("div", { class: "switch", role: "group", "aria-label": "How finely the timeline is cut" },
    LEVELS.map((name) => {
      return el("a", { href: routeHash({ view: "events", level: name }), "aria-current": name === level ? "true" : null },
        LEVEL_NAMES[name], el("span", { class: "badge" }, number(several(name))));
    }));
}

const monthKey = (chunk) => `${yearOf(chunk.start)}-${monthOf(chunk.start)}`;

/** An event of one photo: a small tile, many to a row. */
const singleKind = {
  measure: () => ({ column: 96, height: 96 }),
  render: ({ chunk }) => el("div", { class: "tile single", role: "listitem" },
    el("a", { href: routeHash({ scope: chunk.level, id: chunk.id }), title: chunkTime(chunk), "aria-label": plain(`${chunkTitle(chunk)}, ${chunkTime(chunk)}`) },
      picture(chunk.typical, { words: false }))),
};

/**
 * Headers, cards, and behind the cards of a header the single photos as tiles; and where each month
 * begins. Headers are of years where months hold little.
 */
function timelineItems(shown) {
  const byMonth = shown.length >= 3 * new Set(shown.map(monthKey)).size;
  const parts = new Map();
  for (const chunk of shown) {
    const title = byMonth ? `${MONTH.format(date(chunk.start))} ${yearOf(chunk.start)}` : String(yearOf(chunk.start));
    if (!parts.has(title)) parts.set(title, { several: [], single: [] });
    parts.get(title)[chunk.size > 1 ? "several" : "single"].push(chunk);
  }
  const items = [], months = new Map();
  for (const [title, { several, single }] of parts) {
    const at = items.length;
    items.push({ kind: "header", title });
    for (const chunk of [...several, ...single]) {
      const here = byMonth ? at : items.length;
      months.set(monthKey(chunk), Math.min(months.get(monthKey(chunk)) ?? here, here));
      items.push(chunk.size > 1 ? chunkCard(chunk) : { kind: "single", chunk });
    }
  }
  return { items, months };
}

/** Photos per month (per year, for very long spans) as bars that lead to their place. */
function timeline(shown, months) {
  const first = yearOf(shown[0].start), last = yearOf(shown.at(-1).start);
  const by = (last - first + 1) * 12 <= TIMELINE_BARS ? 12 : 1;
  const slots = Math.min(TIMELINE_BARS, (last - first + 1) * by);
  const sums = new Float64Array(slots);
  for (const chunk of shown) {
    const slot = (yearOf(chunk.start) - first) * by + (by === 12 ? monthOf(chunk.start) : 0);
    if (slot < slots) sums[slot] += chunk.size;
  }
  const most = Math.max(...sums);
  const jump = (key) => () => {
    const y = list.layout.y[months.get(key)] + list.host.getBoundingClientRect().top + scrollY;
    scrollTo({ top: y - $("bar").offsetHeight - 16, behavior: still.matches ? "instant" : "smooth" });
  };
  const bars = Array.from(sums, (sum, slot) => {
    const year = first + Math.floor(slot / by);
    const key = by === 12 ? `${year}-${slot % 12}` : [...months.keys()].find((name) => name.startsWith(`${year}-`));
    const bar = sum
      ? el("button", { type: "button", click: jump(key), title: `${key && by === 12 ? `${MONTH.format(Date.UTC(2000, slot % 12))} ` : ""}${year}: ${photosText(sum)}` })
      : el("span");
    bar.style.setProperty("--share", sum ? Math.max(0.06, Math.sqrt(sum / most)) : 0);
    return bar;
  });
  const step = Math.ceil((last - first + 1) / 12);
  const labels = Array.from({ length: Math.min(last - first + 1, TIMELINE_BARS) }, (_, k) =>
    el("span", {}, k % step === 0 ? String(first + k) : ""));
  return el("div", { class: "timeline", role: "group", "aria-label": "Photos over time" },
    el("div", { class: "timeline-bars" }, bars), el("div", { class: "timeline-years", "aria-hidden": "true" }, labels));
}

function showEvents(parent, route) {
  const level = route.level ?? "event";
  const undated = every.filter((i) => Number.isNaN(columns.takenAt[i])).length;
  const line = undated ? `${photosText(undated)} of ${number(count)} ${undated === 1 ? "has" : "have"} no known capture time.` : null;
  const shown = atLevel(level);
  parent.append(heading("Events", chunks.length ? line : null, chunks.length > 0 && levelSwitch(level)));
  if (!shown.length) {
    const words = count && undated === count
      ? "No photo says when it was taken, in its metadata or in its name."
      : chunks.length ? "Nothing lasted long enough for this level. Try another one." : "There is nothing to put in order of time.";
    parent.append(empty(`No ${LEVEL_NAMES[level].toLowerCase()}`, words, "events"));
    return;
  }
  const { items, months } = timelineItems(shown);
  if (months.size > 1) parent.append(timeline(shown, months));
  flow(parent, items, { card: cardKind, header: headerKind, single: singleKind }, LEVEL_NAMES[level]);
}

function chunkScope(level, id) {
  const chunk = chunks.find((one) => one.level === level && String(one.id) === id);
  if (!chunk) return null;
  const title = chunkTitle(chunk), when = chunkTime(chunk);
  return {
    photos: chunk.members, title, view: "events", level, all: `All ${LEVEL_NAMES[level].toLowerCase()}`,
    line: [title !== when && when, chunk.name && chunk.place, photosText(chunk.size)].filter(Boolean).join(" · "),
    keywords: chunk.keywords,
  };
}

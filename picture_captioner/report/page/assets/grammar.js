// What is typed, as terms: the grammar of `caption.py search` (library/selection.py is the original).

const KINDS = ["person", "place", "tag", "text", "camera", "has", "status", "similar", "date", "from", "to"];
const LISTED = {
  has: ["caption", "face", "person", "place", "tag", "text", "time", "title", "vector"],
  status: ["success", "error_corrupt", "error_api", "error_model", "pending", "suspect"],
};
const WORDS = ["word", "phrase", "text"];
const ALTERNATIVES = ["camera", "place", "status"];
const FUNCTION_WORDS = ["a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with"];
const MOST_TERMS = 200;

const DATE_TEXT = "\\d{4}(?:-\\d{1,2}(?:-\\d{1,2})?)?";
const PERIOD = new RegExp(`^(?:(?:${DATE_TEXT})?\\.\\.(?:${DATE_TEXT})?|\\d{4}-\\d{1,2}(?:-\\d{1,2})?)$`);
const WHOLE_DATE = new RegExp(`^${DATE_TEXT}$`);
// As they are typed or copied; within " they are part of a name.
const QUOTES = "\u201c-\u201f\u00ab\u00bb\uff02";
// Without the flag u, i makes no s of a long s.
const PIECE = new RegExp(
  "(?<minus>[\\u2212-](?=[^\\s\\u2212-]))?"
  + `(?:(?<kind>${KINDS.join("|")}):(?:"(?<quoted>[^"]*)"?|[${QUOTES}](?<between>[^"${QUOTES}]*)["${QUOTES}]?|(?<value>\\S*))`
  + `|"(?<phrase>[^"]*)"?|[${QUOTES}](?<words>[^"${QUOTES}]*)["${QUOTES}]?|(?<word>[^\\s"${QUOTES}]+))`, "gi");

/** What somebody is told who asked for what cannot be. */
class QueryError extends Error {}

const canBeFound = (value) => /[\p{L}\p{N}\p{Co}]|(?![\0-\x7f])[\p{S}\p{Cn}]/u.test(value);

/** The terms of a query; throws a QueryError for a value that cannot be. */
function parseQuery(query) {
  const terms = new Map();
  const take = (kind, value, negated) => {
    const term = WORDS.includes(kind) && kind !== "text" ? { kind, value, negated } : checkedTerm(kind, value.trim(), negated);
    if (kind === "text" || !WORDS.includes(kind) || canBeFound(value)) terms.set(`${negated} ${term.kind} ${term.value}`, term);
  };
  for (const { groups } of query.matchAll(PIECE)) {
    const negated = groups.minus !== undefined;
    if (groups.kind !== undefined) take(groups.kind.toLowerCase(), groups.quoted ?? groups.between ?? groups.value, negated);
    else if (groups.word === undefined) take("phrase", groups.phrase ?? groups.words, negated);
    else if (PERIOD.test(groups.word) && groups.word !== "..") take("date", groups.word, negated);
    else take("word", groups.word, negated);
  }
  const times = [...terms.values()].filter((term) => term.kind === "date" && !term.negated).map((term) => term.value.split(".."));
  const since = times.filter((ends) => !ends[1]).map((ends) => ends[0]).sort().at(-1), until = times.filter((ends) => !ends[0]).map((ends) => ends[1]).sort()[0];
  if (since && until && since > until) throw new QueryError(`${since}..${until} ends before it begins.`);
  // Of 50,000 photos the neighbours alone would be as large as the rest of the page.
  if ([...terms.values()].some((term) => term.kind === "similar")) throw new QueryError(`Likeness is for the command. In a terminal: ${head.commands.search} -- '${query.trim().replaceAll("'", "'\\''")}'`);
  if (terms.size > MOST_TERMS) throw new QueryError(`${terms.size} words and conditions are too many; ${MOST_TERMS} are the most.`);
  return [...terms.values()];
}

function checkedTerm(kind, value, negated) {
  if (!value) throw new QueryError(`${kind}: needs a value right after the colon.`);
  if (["date", "from", "to"].includes(kind)) return { kind: "date", value: periodOf(kind, value), negated };
  if (LISTED[kind] && !LISTED[kind].includes(value)) throw new QueryError(`${kind}:${value} is none; it may be: ${LISTED[kind].join(", ")}.`);
  if (!LISTED[kind] && !canBeFound(value)) throw new QueryError(`${kind}:${value} names nothing.`);
  if (kind === "similar" && negated) throw new QueryError("similar: cannot be negated: every photo is a little like every other.");
  return { kind, value, negated };
}

/** The first and the last day as "2019-06-01..2019-09-30"; nothing where it is open. */
function periodOf(kind, value) {
  const dots = value.indexOf("..");
  let first = dots < 0 ? value : value.slice(0, dots), last = dots < 0 ? value : value.slice(dots + 2);
  if (kind === "from") last = "";
  if (kind === "to") first = "";
  const days = [dayOf(first, kind, value, false), dayOf(last, kind, value, true)];
  if (!(days[0] || days[1]) || (kind !== "date" && dots >= 0)) throw noDate(kind, value);
  if (days[0] && days[1] && days[0] > days[1]) throw new QueryError(`${value} ends before it begins.`);
  return days.join("..");
}

function dayOf(words, kind, value, last) {
  if (!words) return "";
  if (!WHOLE_DATE.test(words)) throw noDate(kind, value);
  const [year, month, day] = words.split("-").map(Number);
  const m = month ?? 0, monthNumber = m || (last ? 12 : 1);
  if (year < 1 || monthNumber > 12) throw noDate(kind, value);
  const days = new Date(Date.UTC(2000 + (year % 400), monthNumber, 0)).getUTCDate();
  const dayNumber = (day ?? 0) || (last ? days : 1);
  if (dayNumber > days) throw noDate(kind, value);
  return `${String(year).padStart(4, "0")}-${String(monthNumber).padStart(2, "0")}-${String(dayNumber).padStart(2, "0")}`;
}

const noDate = (kind, value) => new QueryError(`${kind}: “${value}” is no date; write 2019, 2019-06, 2019-06-30${kind === "date" ? " or 2019-06..2019-09" : ""}.`);

const NEEDS_QUOTES = new RegExp(`^[${QUOTES}]|\\s`);
/** A term as it is typed. */
const termText = (kind, value) => `${kind}:${NEEDS_QUOTES.test(value) ? `"${value.replaceAll('"', " ")}"` : value}`;

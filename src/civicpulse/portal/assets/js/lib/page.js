// What the server put into the page: tenant, addresses, texts.
export const page = JSON.parse(document.getElementById("page-data").textContent);
export const language = document.documentElement.lang;

const plurals = new Intl.PluralRules(language);

/** The text under `key` with its {placeholders} filled. */
export function t(key, values = {}) {
  const text = page.texts[key];
  if (text === undefined) throw new Error(`there is no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The text under `key` in the plural form for `count`. */
export function tn(key, count, values = {}) {
  const form = `${key}.${plurals.select(count)}`;
  return t(form in page.texts ? form : `${key}.other`, { count: count.toLocaleString(language), ...values });
}

/** The address of a request's page. */
export const trackUrl = (id, token = "") =>
  `/track/${encodeURIComponent(id)}${page.query}${token ? `#token=${encodeURIComponent(token)}` : ""}`;

// The JSON API of this origin, spoken for the page's tenant.
import { page } from "./page.js";

export class ApiError extends Error {
  /** `status` 0 means that no answer came. `problem` is the RFC 9457 document, if there was one. */
  constructor(status, problem) {
    super(problem?.detail ?? `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, null);
  }
  const text = await answer.text();
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const body = isJson && text ? JSON.parse(text) : null;
  if (!answer.ok) throw new ApiError(answer.status, body);
  return body;
}

export const get = (path, { signal, headers } = {}) => call(path, { headers: { "X-Tenant": page.tenant.slug, ...headers }, signal });

export const post = (path, body, headers = {}) =>
  call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Tenant": page.tenant.slug, ...headers },
    body: JSON.stringify(body),
  });

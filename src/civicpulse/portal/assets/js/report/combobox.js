// A select with search: the combobox pattern of the ARIA practices guide, with a list of groups.
import { el } from "../lib/dom.js";
import { t } from "../lib/page.js";

const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

export class Combobox {
  #options = [];
  #shown = [];
  #active = -1;

  constructor(input, list, { onChoose }) {
    this.input = input;
    this.list = list;
    this.onChoose = onChoose;
    this.value = null;
    input.addEventListener("click", () => this.#open());
    input.addEventListener("input", () => this.#open(input.value));
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => this.#leave());
    // The list must not take the focus from the field that owns it.
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => this.#choose(event.target.closest("[role=option]")?.dataset.value));
  }

  /** `options`: [{value, label, group, words to find it by}] in their order. */
  setOptions(options) {
    this.#options = options.map((option) => ({ ...option, folded: fold(`${option.label} ${option.group} ${option.value} ${option.words}`) }));
  }

  clear() {
    this.value = null;
    this.input.value = "";
    this.#close();
  }

  #open(query = "") {
    const words = fold(query).split(/\s+/).filter(Boolean);
    this.#shown = this.#options.filter(({ folded }) => words.every((word) => folded.includes(word)));
    this.#active = -1;
    this.list.replaceChildren(...this.#rows());
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.input.removeAttribute("aria-activedescendant");
  }

  #rows() {
    if (!this.#shown.length) return [el("li", { class: "cp-combobox-none", role: "option", "aria-disabled": "true" }, t("report.category.none"))];
    const rows = [];
    for (const group of new Set(this.#shown.map((option) => option.group))) {
      const options = this.#shown.map((option, index) => [option, index]).filter(([option]) => option.group === group);
      const heading = el("div", { class: "cp-combobox-group", "aria-hidden": "true" }, group);
      rows.push(el("li", { role: "presentation" }, heading, el("ul", { role: "group", "aria-label": group }, ...options.map((pair) => this.#row(...pair)))));
    }
    return rows;
  }

  #row(option, index) {
    return el("li", {
      role: "option", id: `category-${index}`, "data-value": option.value, class: "cp-combobox-option",
      "aria-selected": String(option.value === this.value),
    }, option.label);
  }

  #close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #move(step) {
    if (this.list.hidden) this.#open();
    if (!this.#shown.length) return;
    this.list.querySelector(".cp-active")?.classList.remove("cp-active");
    this.#active = (this.#active + step + this.#shown.length + (this.#active < 0 && step < 0 ? 1 : 0)) % this.#shown.length;
    const row = this.list.querySelector(`#category-${this.#active}`);
    row.classList.add("cp-active");
    row.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", row.id);
  }

  #key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      event.preventDefault();
      this.#move(steps[event.key]);
    } else if (event.key === "Enter" && !this.list.hidden) {
      event.preventDefault();
      this.#choose((this.#shown[this.#active] ?? (this.#shown.length === 1 ? this.#shown[0] : null))?.value);
    } else if (event.key === "Escape" && !this.list.hidden) {
      event.stopPropagation();
      this.#close();
    }
  }

  #choose(value) {
    const option = this.#options.find((candidate) => candidate.value === value);
    if (!option) return;
    this.value = option.value;
    this.input.value = option.label;
    this.#close();
    this.onChoose(option);
  }

  // Words that name no category choose nothing; the field goes back to what was chosen.
  #leave() {
    const exact = this.#options.find(({ label }) => fold(label) === fold(this.input.value.trim()));
    if (exact && exact.value !== this.value) this.#choose(exact.value);
    this.input.value = this.#options.find(({ value }) => value === this.value)?.label ?? "";
    this.#close();
  }
}


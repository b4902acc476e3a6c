/** More are forgotten, all at once: what is used on comes back. */
const MAX_TEXTS = 4_096;

/** The same text once in memory: names of parents, and often hashes of tokens, come with each of many registrations. */
export class TextPool {
  readonly #texts = new Map<string, string>();

  share(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size === MAX_TEXTS) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }
}

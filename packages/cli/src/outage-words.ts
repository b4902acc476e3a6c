import { hideCredentials, type Output } from './output.js';

/** Says on standard error that a registry cannot be heard, once, and that one is heard again. */
export class OutageWords {
  readonly #output: Output;
  #isAway = false;

  constructor(output: Output) {
    this.#output = output;
  }

  failed({ message }: Error): void {
    if (!this.#isAway) this.#output.say(`membrane: ${message}; trying again`);
    this.#isAway = true;
  }

  answered(url: string): void {
    if (this.#isAway) this.#output.say(`membrane: a registry answers again, at ${hideCredentials(url)}`);
    this.#isAway = false;
  }
}

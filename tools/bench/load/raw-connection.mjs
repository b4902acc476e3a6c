import { connect } from 'node:net';

const HEAD_END = '\r\n\r\n';
const OK = 'HTTP/1.1 200';
const LAST_CHUNK = '0\r\n\r\n';

/** One request at a time over a socket, with as little work as can be: for load, not for strangers. */
export class RawConnection {
  #text = '';
  /** @type {((answer: string) => void) | undefined} */
  #onAnswer;
  /** @type {(error: Error) => void} */
  #onError = () => undefined;
  /** False once the server has closed it, as it does with one that was idle for long. */
  isOpen = true;

  /** @param {string} url */
  constructor(url) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname).setNoDelay().setEncoding('latin1');
    this.socket.on('data', (chunk) => this.#read(String(chunk)));
    this.socket.on('error', (error) => this.#onError(error));
    this.socket.on('close', () => {
      this.isOpen = false;
      this.#onError(new Error('the server closed a connection'));
    });
  }

  /**
   * @param {string | Uint8Array} request
   * @param {(answer: string) => void} onAnswer head and body, of an answer by 200
   * @param {(error: Error) => void} onError
   */
  send(request, onAnswer, onError) {
    this.#onAnswer = onAnswer;
    this.#onError = onError;
    if (this.isOpen) this.socket.write(request);
    else onError(new Error('the server has closed this connection'));
  }

  /** @param {string | Uint8Array} request @returns {Promise<string>} */
  ask(request) {
    return new Promise((resolve, reject) => this.send(request, resolve, reject));
  }

  close() {
    this.#onError = () => undefined;
    this.socket.destroy();
  }

  /** @param {string} chunk */
  #read(chunk) {
    this.#text = this.#text === '' ? chunk : this.#text + chunk;
    const text = this.#text;
    const headEnd = text.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
    const isWhole =
      length === undefined
        ? text.endsWith(LAST_CHUNK)
        : text.length >= headEnd + HEAD_END.length + Number(length);
    if (!isWhole) return;
    this.#text = '';
    if (text.startsWith(OK)) this.#onAnswer?.(text);
    else this.#onError(new Error(`a request was not answered by 200: ${text}`));
  }
}

/** A process that answers each line on its stdin with one JSON object on its stdout. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Worker<Reply> {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('no stdout');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async read(): Promise<Reply> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the worker ended early');
    return JSON.parse(value) as Reply;
  }

  ask(line: string): Promise<Reply> {
    this.#child.stdin?.write(`${line}\n`);
    return this.read();
  }

  async quit(): Promise<void> {
    const ended = new Promise(resolve => this.#child.once('exit', resolve));
    this.#child.stdin?.write('quit\n');
    await ended;
  }
}

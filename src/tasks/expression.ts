/**
 * Exact arithmetic over + - * / and parentheses, for Countdown.
 *
 * 1. No code is evaluated: an own tokenizer and a two-stack (shunting-yard) evaluator, so that no depth of
 *    parentheses can overflow the call stack and the time is linear in the text.
 * 2. A number is accepted only as written in the list of numbers still to be used: no leading zeros, no
 *    concatenation, no unary minus, no `**`, no decimals. So at most `numbers.length` leaves are ever computed with.
 * 3. Values are fractions of BigInt and therefore exact; they stay small because the leaves are few.
 */
export type Operator = '+' | '-' | '*' | '/';

export const OPERATORS = ['+', '-', '*', '/'] as const satisfies readonly Operator[];

export interface Fraction {
  readonly top: bigint;
  readonly bottom: bigint;
}

export const fraction = (value: number): Fraction => ({ top: BigInt(value), bottom: 1n });

/** `a operator b`, or undefined for a division by zero. */
export function applyExact(a: Fraction, operator: Operator, b: Fraction): Fraction | undefined {
  switch (operator) {
    case '+':
      return { top: a.top * b.bottom + b.top * a.bottom, bottom: a.bottom * b.bottom };
    case '-':
      return { top: a.top * b.bottom - b.top * a.bottom, bottom: a.bottom * b.bottom };
    case '*':
      return { top: a.top * b.top, bottom: a.bottom * b.bottom };
    case '/':
      return b.top === 0n ? undefined : { top: a.top * b.bottom, bottom: a.bottom * b.top };
  }
}

export const equalsInteger = (a: Fraction, value: number): boolean => a.top === BigInt(value) * a.bottom;

const PRECEDENCE = { '+': 1, '-': 1, '*': 2, '/': 2 } as const satisfies Record<Operator, number>;

const isOperator = (token: string): token is Operator => token in PRECEDENCE;

/** Two stacks; every method returns what is wrong, or undefined. */
class Evaluator {
  readonly #values: Fraction[] = [];
  readonly #pending: (Operator | '(')[] = [];
  /** True where a number or an opening parenthesis must come next. */
  #wantsValue = true;

  value(value: Fraction): string | undefined {
    if (!this.#wantsValue) return 'two numbers without an operator between them';
    this.#values.push(value);
    this.#wantsValue = false;
    return undefined;
  }

  operator(operator: Operator): string | undefined {
    if (this.#wantsValue) return `operator ${operator} without a number before it`;
    const wrong = this.#reduce(PRECEDENCE[operator]);
    this.#pending.push(operator);
    this.#wantsValue = true;
    return wrong;
  }

  open(): string | undefined {
    if (!this.#wantsValue) return 'a parenthesis without an operator before it';
    this.#pending.push('(');
    return undefined;
  }

  close(): string | undefined {
    if (this.#wantsValue) return 'a parenthesis closes after nothing';
    return this.#reduce(0) ?? (this.#pending.pop() === '(' ? undefined : 'a parenthesis was never opened');
  }

  finish(): Fraction | string {
    if (this.#wantsValue) return 'the expression ends early';
    const wrong = this.#reduce(0);
    if (wrong !== undefined) return wrong;
    return this.#pending.length > 0 ? 'a parenthesis was never closed' : this.#values[0]!;
  }

  /** Applies waiting operators of at least this precedence, back to the nearest opening parenthesis. */
  #reduce(precedence: number): string | undefined {
    for (;;) {
      const operator = this.#pending.at(-1);
      if (operator === undefined || operator === '(' || PRECEDENCE[operator] < precedence) return undefined;
      this.#pending.pop();
      const right = this.#values.pop()!;
      const result = applyExact(this.#values.pop()!, operator, right);
      if (result === undefined) return 'division by zero';
      this.#values.push(result);
    }
  }
}

const TOKEN = /\s*(?:(\d+)|([-+*/()]))/y;

/**
 * The exact value of `text`, an expression that uses each of `numbers` exactly once, or one sentence saying why
 * it is not such an expression. Linear in the text; never throws.
 */
export function evaluateExpression(text: string, numbers: readonly number[]): Fraction | string {
  const unused = numbers.map(String);
  const evaluator = new Evaluator();
  const source = text.trim();
  for (let at = 0; at < source.length; ) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (match === null) return `unexpected character at ${at}`;
    const wrong = feed(evaluator, match[1] ?? match[2]!, unused);
    if (wrong !== undefined) return wrong;
    at = TOKEN.lastIndex;
  }
  const value = evaluator.finish();
  if (typeof value !== 'string' && unused.length > 0) return `number ${unused[0]} is not used`;
  return value;
}

function feed(evaluator: Evaluator, token: string, unused: string[]): string | undefined {
  if (token === '(') return evaluator.open();
  if (token === ')') return evaluator.close();
  if (isOperator(token)) return evaluator.operator(token);
  const index = unused.indexOf(token);
  if (index < 0) return `number ${token.slice(0, 12)} is not among those left`;
  unused.splice(index, 1);
  return evaluator.value(fraction(Number(token)));
}

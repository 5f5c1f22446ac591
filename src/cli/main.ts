#!/usr/bin/env node
/** The command line: parse, call, print. Each command is a file in commands/. */
import { Command, CommanderError } from 'commander';
import { benchCommand } from './commands/bench.ts';
import { chatCommand } from './commands/chat.ts';
import { evalCommand } from './commands/eval.ts';
import { generateCommand } from './commands/generate.ts';
import { inspectCommand } from './commands/inspect.ts';
import { perplexityCommand } from './commands/perplexity.ts';
import { recipesCommand, runCommand } from './commands/run.ts';
import { guard } from './output.ts';
import { VERSION } from './version.ts';

const COMMANDS = [
  runCommand,
  recipesCommand,
  evalCommand,
  generateCommand,
  chatCommand,
  perplexityCommand,
  inspectCommand,
  benchCommand,
];

export function program(): Command {
  const root = new Command('gaslaw')
    .description('Train small models to reason, compress them, and ship them.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(add --help for the options)');
  for (const make of COMMANDS) root.addCommand(make().exitOverride());
  return root;
}

async function main(): Promise<number> {
  let usage = 0;
  const code = await guard(async () => {
    try {
      await program().parseAsync();
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      usage = error.exitCode === 0 ? 0 : 2; // commander has printed its sentence
    }
  });
  return code || usage;
}

process.exitCode = await main();

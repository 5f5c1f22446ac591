#!/usr/bin/env node
/** The command line: parse, call, print. Each command is a file in commands/. */
import { Command, CommanderError } from 'commander';
import { benchCommand } from './commands/bench.ts';
import { chatCommand } from './commands/chat.ts';
import { checkCommand } from './commands/check.ts';
import { compressCommand } from './commands/compress.ts';
import { convertCommand } from './commands/convert.ts';
import { devicesCommand } from './commands/devices.ts';
import { evalCommand } from './commands/eval.ts';
import { generateCommand } from './commands/generate.ts';
import { inspectCommand } from './commands/inspect.ts';
import { perplexityCommand } from './commands/perplexity.ts';
import { pruneCommand } from './commands/prune.ts';
import { quantizeCommand } from './commands/quantize.ts';
import { recipesCommand } from './commands/recipes.ts';
import { runCommand } from './commands/run.ts';
import { searchCommand } from './commands/search.ts';
import { guard, stderrColors, watchStreams } from './output.ts';
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
  convertCommand,
  compressCommand,
  checkCommand,
  devicesCommand,
  pruneCommand,
  searchCommand,
  quantizeCommand,
];

const EXAMPLES = `
<model> is a run folder (or one of its models, RUN/models/NAME), a Hugging Face directory, or a .safetensors, .gguf, .bin
(llama2.c), .onnx or .tflite file.

Examples:
  gaslaw run r1 --size small                 train a model to reason; ends with a report
  gaslaw chat runs/r1-small-1                ask it: 3 5 4 > 35
  gaslaw eval runs/r1-small-1 --task countdown --samples 256 --k 16
  gaslaw run text --set text=book.txt        learn to write like a book
  gaslaw check model.onnx --device stm32n6   what stops a model from deploying
  gaslaw quantize model.onnx --dtype int8 --data images --out small.onnx

With --json a command prints one JSON object and nothing else; progress goes to stderr.
`;

/** The whole command line; nothing runs until it is told to parse. */
export function program(): Command {
  const root = new Command('gaslaw')
    .description('Train small models to reason, make them smaller, ship them: all as ONNX graphs.')
    .version(VERSION)
    .usage('<command> [options]')
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ subcommandTerm: termOf })
    .configureOutput({ outputError: (text, write) => write(oneSentence(text)) })
    .addHelpText('after', EXAMPLES);
  for (const make of COMMANDS) root.addCommand(requiredLast(make()).copyInheritedSettings(root));
  return root;
}

/** Options that are missing are told after those that nobody knows: a required one may be misspelt. */
function requiredLast(command: Command): Command {
  const required = command.options.filter(option => option.mandatory);
  for (const option of required) option.makeOptionMandatory(false);
  return command.hook('preAction', given => {
    const missing = required.find(option => given.getOptionValue(option.attributeName()) === undefined);
    if (missing) given.error(`error: required option '${missing.flags}' not specified`);
  });
}

/** `eval <model>`; the options are listed by the command's own help. */
const termOf = (command: Command): string =>
  [
    command.name(),
    ...command.registeredArguments.map(a => (a.required ? `<${a.name()}>` : `[${a.name()}]`)),
  ].join(' ');

/** commander's message without its line breaks: `gaslaw: unknown option '--x' (did you mean …?)`. */
function oneSentence(text: string): string {
  const sentence = text
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
  return `${stderrColors().red('gaslaw:')} ${sentence}; --help lists what there is\n`;
}

async function main(): Promise<number> {
  watchStreams();
  let usage = 0;
  const code = await guard(async () => {
    try {
      const root = program();
      if (process.argv.length <= 2) root.outputHelp();
      else await root.parseAsync();
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      usage = error.exitCode === 0 ? 0 : 2; // commander has printed its sentence
    }
  });
  return code || usage || Number(process.exitCode ?? 0); // a command that went well may say no
}

process.exitCode = await main();

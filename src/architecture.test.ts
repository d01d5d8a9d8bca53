import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import ts from 'typescript';
import {
  at,
  filesUnder,
  type Import,
  importsOf,
  isName,
  isTest,
  placesOf,
  root,
  sourcesUnder,
} from './testing/source-tree.ts';

/** The rules of the house that a reader cannot be asked to remember: docs/architecture.md says why each is there. */

const sources = sourcesUnder('src');
const testbed = sourcesUnder('testbed');
const imports = sources.flatMap(importsOf);

const pieces = ['base', 'wire', 'policy', 'session', 'transport', 'native', 'relay', 'member'] as const;

/** Which folders of src each may import from: everything else would turn an arrow of the architecture round. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  testing: [],
  base: [],
  wire: ['base'],
  policy: ['base', 'wire'],
  authority: ['base', 'wire', 'policy'],
  session: ['base', 'wire'],
  transport: ['base'],
  native: ['base'],
  relay: ['base', 'wire', 'native'],
  member: ['base', 'wire', 'policy', 'session', 'transport', 'relay'],
  mediator: pieces,
  switch: pieces,
  terminal: pieces,
  server: [...pieces, 'switch', 'terminal'],
  cli: [...pieces, 'authority', 'mediator', 'switch', 'terminal', 'server'],
};

const order = [
  'base',
  'wire',
  'policy authority session transport native',
  'relay',
  'member',
  'mediator switch terminal',
  'server',
  'cli',
];
const rankOf = (folder: string) => order.findIndex(rank => rank.split(' ').includes(folder));

/** The folder of src that a path lies in, or undefined for other places and for src itself. */
const folderOf = (path: string) => /^src\/([^/]+)\//.exec(path)?.[1];

/** Types describe a seam without tying its two sides together. */
function isAllowedSeam({ from, target, typesOnly }: Import): boolean {
  const folder = folderOf(from) ?? '';
  return typesOnly && target === 'src/transport/transport.ts' && ['session', 'native'].includes(folder);
}

function mayReach(found: Import, from: string, to: string): boolean {
  if (from === to || isAllowedSeam(found)) return true;
  const allowed = mayImport[from]?.includes(to) ?? false;
  return allowed || (isTest(found.from) && rankOf(to) < 5 && rankOf(to) <= rankOf(from));
}

test('every folder of src has its place in the order of imports', t => {
  const known = Object.keys(mayImport);
  const folders = new Set(sources.flatMap(({ path }) => folderOf(path) ?? []));
  t.deepEqual(
    [...folders].filter(folder => !known.includes(folder)),
    [],
    'Say in mayImport what it may import, and in docs/architecture.md why it is there.',
  );
});

test('imports follow base, wire, {policy, authority, session, transport, native}, relay, member, {mediator, switch, terminal}, server, cli', t => {
  const wrong = imports.flatMap(found => {
    const from = folderOf(found.from);
    const to = folderOf(found.target);
    if (from === undefined || to === undefined || mayReach(found, from, to)) return [];
    return [`${found.where}: src/${from} must not import src/${to} (${found.target})`];
  });
  t.deepEqual(
    wrong,
    [],
    'A layer that knows the one above it cannot be tested, replaced or understood alone.',
  );
});

test('server reaches terminal only through its public index', t => {
  const wrong = imports
    .filter(({ from, target }) => folderOf(from) === 'server' && folderOf(target) === 'terminal')
    .filter(({ target }) => target !== 'src/terminal/index.ts');
  t.deepEqual(
    wrong.map(({ where, target }) => `${where}: ${target}`),
    [],
    "Features of the server are terminals like everybody's: no private route.",
  );
});

test('no file imports a test', t => {
  t.deepEqual(
    imports.filter(({ target }) => isTest(target)).map(({ where }) => where),
    [],
  );
});

const pure = ['wire', 'session', 'policy'];
const pureSources = sources.filter(
  ({ path }) => pure.includes(folderOf(path) ?? '') && !isTest(path) && !path.includes('/testing/'),
);
const ioModules = [
  'net',
  'tls',
  'dgram',
  'http',
  'https',
  'http2',
  'dns',
  'fs',
  'child_process',
  'timers',
  'worker_threads',
  'perf_hooks',
];
const clockNames = [
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
];

test('wire, session and policy do no I/O', t => {
  const wrong = pureSources
    .flatMap(importsOf)
    .filter(({ target }) => ioModules.includes(target.replace(/^node:/, '').split('/')[0] ?? ''));
  t.deepEqual(
    wrong.map(({ where, target }) => `${where}: ${target}`),
    [],
    'Machines take bytes and give back actions; sockets are handed to them by a transport.',
  );
});

test('wire, session and policy read no clock and start no timer', t => {
  const wrong = pureSources.flatMap(source => placesOf(source, node => isName(node, clockNames)));
  t.deepEqual(
    wrong,
    [],
    'Time goes in as `now` and comes out as the next deadline, so that a test of an hour takes no time.',
  );
});

test('only src/native/addon.ts loads the addon', t => {
  const others = sources.filter(({ path }) => path !== 'src/native/addon.ts' && !isTest(path));
  const loads = (node: ts.Node) =>
    (ts.isIdentifier(node) && ['createRequire', 'dlopen'].includes(node.text)) ||
    (ts.isStringLiteral(node) && /\w\.node$/.test(node.text));
  const wrong = others.flatMap(source => placesOf(source, loads));
  t.deepEqual(
    wrong,
    [],
    'One place knows where the addon lies and says what is missing when it is not there.',
  );
});

/** Files over 300 lines that are better whole, each with the reason. */
const mayBeLong: Readonly<Record<string, string>> = {
  'src/session/attachment.ts': 'both ways in which a label begins and ends, side by side',
  'src/session/send-half.ts': 'queue and replay copy are one list, and every rule is about both',
  'src/session/stream.ts': 'every way in which a stream ends stands beside the others',
};

/** A table of cases is looked up by title; other files are read in one go. */
const longestLines = (path: string) => (isTest(path) || path in mayBeLong ? 500 : 300);

test('no file is over 300 lines without a stated reason, none and no test over 500', t => {
  const native = filesUnder('native', /\.(cc|h)$/);
  const files = [...[...sources, ...testbed].map(({ path }) => path), ...native];
  const linesOf = (path: string) => readFileSync(join(root, path), 'utf8').split('\n').length - 1;
  const tooLong = files.filter(path => linesOf(path) > longestLines(path));
  t.deepEqual(
    tooLong.map(path => `${path} has ${linesOf(path)} lines`),
    [],
    'A file is read in one go. Split it by what changes for one reason.',
  );
  const settled = Object.keys(mayBeLong).filter(path => files.includes(path) && linesOf(path) <= 300);
  t.deepEqual(settled, [], 'These are short again: take them off the list.');
});

test('no `any` and no switched-off check', t => {
  const every = [...sources, ...testbed];
  const any = every.flatMap(source => placesOf(source, node => node.kind === ts.SyntaxKind.AnyKeyword));
  const off = every.filter(({ tree }) => /\/[/*]\s*@ts-(ignore|expect-error|nocheck)/.test(tree.text));
  t.deepEqual(
    [...any, ...off.map(({ path }) => path)],
    [],
    'Write `unknown` and look, or say to the compiler what is true.',
  );
});

/** `export type X = MessageOf<typeof x>` right below x, which is documented. */
function isTypeOfDocumented(node: ts.Node): boolean {
  return ts.isTypeAliasDeclaration(node) && /^MessageOf<typeof \w+>$/.test(node.type.getText());
}

function isUndocumentedExport(node: ts.Statement): boolean {
  const exported =
    ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(one => one.kind === ts.SyntaxKind.ExportKeyword);
  return exported === true && ts.getJSDocCommentsAndTags(node).length === 0 && !isTypeOfDocumented(node);
}

test('every export has a doc comment', t => {
  const documented = [...sources, ...testbed].filter(
    ({ path }) => !isTest(path) && !path.includes('/fixtures/'),
  );
  const wrong = documented.flatMap(source =>
    source.tree.statements.filter(isUndocumentedExport).map(node => at(source, node)),
  );
  t.deepEqual(
    wrong,
    [],
    'Say what it is, its units and shapes, the errors it throws, and the rule or RFC it comes from.',
  );
});

test('no test of src waits for time to pass', t => {
  const waits = (node: ts.Node) =>
    isName(node, ['setTimeout', 'setInterval', 'sleep', 'delay']) ||
    (ts.isStringLiteral(node) && /^(node:)?timers/.test(node.text) && ts.isImportDeclaration(node.parent));
  const wrong = sources.filter(({ path }) => isTest(path)).flatMap(source => placesOf(source, waits));
  t.deepEqual(
    wrong,
    [],
    'Await what should happen, or move an injected clock: a sleep is too short on a slow day and too long on the others.',
  );
});

function committedFiles(): string[] | undefined {
  try {
    return execFileSync('git', ['ls-files', '-z'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .split('\0')
      .filter(Boolean);
  } catch {
    return undefined;
  }
}

/** What no committed file may say: where packages came from, and where this checkout lies. */
function tracesIn(text: string): string[] {
  const hosts = ['npmjs', 'yarnpkg'].map(name => `registry.${name}.`);
  const found = [...hosts, root.replace(/\/$/, '')].filter(trace => trace.length > 3 && text.includes(trace));
  return /"resolved": "https?:|^registry\s*=/m.test(text) ? [...found, 'where a package came from'] : found;
}

test('no committed file names a package registry or a place of this machine', t => {
  const files = committedFiles();
  if (files === undefined) {
    t.log('not a git checkout: nothing to look at');
    t.pass();
    return;
  }
  const present = files.filter(path => existsSync(join(root, path)));
  const wrong = present.flatMap(path =>
    tracesIn(readFileSync(join(root, path), 'latin1')).map(trace => `${path}: ${trace}`),
  );
  t.deepEqual(wrong, [], 'A clone must build anywhere, from whatever registry its user has.');
});

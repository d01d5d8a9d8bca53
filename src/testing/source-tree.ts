import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** The project's own sources as text and trees, for tests that hold the rules of the house. */

/** The root of the checkout, with a slash at its end. */
export const root = fileURLToPath(
  new URL(import.meta.url.includes('/dist/') ? '../../../' : '../../', import.meta.url),
);

/** Files below `folder` whose name matches, as paths from {@link root}; nothing that is built or installed. */
export function filesUnder(folder: string, pattern: RegExp): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && pattern.test(entry.name))
    .map(entry => relative(root, join(entry.parentPath, entry.name)))
    .filter(path => !/(^|\/)(node_modules|dist|build)\//.test(path));
}

/** True for a file of tests. */
export const isTest = (path: string) => path.endsWith('.test.ts');

/** A TypeScript file: its path from {@link root} and its syntax tree. */
export interface Source {
  readonly path: string;
  readonly tree: ts.SourceFile;
}

/** The TypeScript files below `folder`, parsed. */
export function sourcesUnder(folder: string): Source[] {
  return filesUnder(folder, /\.ts$/).map(path => {
    const text = readFileSync(join(root, path), 'utf8');
    return { path, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true) };
  });
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, child => walk(child, visit));
}

/** path:line of a node. */
export function at(source: Source, node: ts.Node): string {
  return `${source.path}:${source.tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}

/** path:line of each node of a file for which `matches` holds. */
export function placesOf(source: Source, matches: (node: ts.Node) => boolean): string[] {
  const found: string[] = [];
  walk(source.tree, node => {
    if (matches(node)) found.push(at(source, node));
  });
  return found;
}

/** True for one of these names, used as a name of its own and not as that of a member of something. */
export function isName(node: ts.Node, names: readonly string[]): boolean {
  if (!ts.isIdentifier(node) || !names.includes(node.text)) return false;
  const { parent } = node;
  return !(
    (ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent)) &&
    parent.name === node
  );
}

/** What a file imports or re-exports: where, from what, and whether only types. */
export interface Import {
  readonly where: string;
  readonly from: string;
  readonly target: string;
  readonly typesOnly: boolean;
}

function isTypesOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (clause === undefined || clause.name !== undefined) return clause?.isTypeOnly ?? false;
  const named = clause.namedBindings;
  const each =
    named !== undefined && ts.isNamedImports(named) ? named.elements.every(one => one.isTypeOnly) : false;
  return clause.isTypeOnly || each;
}

/** Every import and re-export of a file; `target` is a path from {@link root}, or the name of a package. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, typesOnly: boolean) => {
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return;
    const name = specifier.text;
    const target = name.startsWith('.') ? posix.join(posix.dirname(source.path), name) : name;
    found.push({ where: at(source, node), from: source.path, target, typesOnly });
  };
  walk(source.tree, node => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node))
      add(node, node.moduleSpecifier, isTypesOnly(node));
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node, node.arguments[0], false);
  });
  return found;
}

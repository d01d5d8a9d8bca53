/** The text behind a verb's options in its help: how it is called, line by line, without `entremise` in front. */
export function examples(...calls: readonly string[]): string {
  const title = calls.length === 1 ? 'Example' : 'Examples';
  return `\n${title}:\n${calls.map(call => `  entremise ${call}`).join('\n')}`;
}

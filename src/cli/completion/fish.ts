import type { Place, ValueKind } from './command-table.ts';
import { namesFile } from './shell-words.ts';

/** A word of fish, which knows two escapes between single quotes. */
const fishWord = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;

/** What completes a value: the options of \`complete\`. */
function valueOptions(kind: ValueKind): string {
  if (typeof kind === 'object') return `-x -a ${fishWord(kind.oneOf.join(' '))}`;
  if (kind === 'mediator') return `-x -a '(__entremise_mediators)'`;
  if (kind === 'directory') return `-x -a '(__fish_complete_directories)'`;
  return kind === 'file' ? '-r -F' : '-x';
}

function linesOf({ path, verbs, options, values, variadic }: Place): string[] {
  const at = `complete -c entremise -n ${fishWord(`__entremise_at ${fishWord(path)}`)}`;
  const last = values.length - 1;
  return [
    ...verbs.map(({ word, description }) => `${at} -f -a ${fishWord(word)} -d ${fishWord(description)}`),
    ...options.map(({ word, description, value }) => {
      const takes = value === undefined ? '-f' : valueOptions(value);
      return `${at} -l ${fishWord(word.replace(/^--/, ''))} ${takes} -d ${fishWord(description)}`;
    }),
    ...values.flatMap((kind, index) => {
      const number = variadic && index === last ? `${index} more` : String(index);
      const here = `complete -c entremise -n ${fishWord(`__entremise_at ${fishWord(path)} ${number}`)}`;
      return kind === 'other'
        ? []
        : [
            `${here} ${valueOptions(kind)
              .replace(/^-[xr]/, kind === 'file' ? '-F' : '-f')
              .replace('-F -F', '-F')}`,
          ];
    }),
  ];
}

/** A completion script for fish, which shows what each word is for. */
export function fishScript(places: readonly Place[]): string {
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => fishWord(path));
  const takers = places.flatMap(({ path, options }) =>
    options.flatMap(({ word, value }) => (value === undefined ? [] : [fishWord(`${path} ${word}`)])),
  );
  return `# Completion of entremise for fish. Made by: entremise completion fish
set -g __entremise_paths ${paths.join(' ')}
set -g __entremise_takers ${takers.join(' ')}

# Is the cursor behind these words, and behind so many values?
function __entremise_at
    set -l place ''
    set -l count 0
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip -eq 1
            set skip 0
        else if string match -q -- '-*' $word
            contains -- "$place $word" $__entremise_takers; and set skip 1
        else if contains -- (string trim "$place $word") $__entremise_paths
            set place (string trim "$place $word")
        else
            set count (math $count + 1)
        end
    end
    test "$place" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; and return 0
    test (count $argv) -eq 3; and test $count -ge $argv[2]; and return 0
    test $count -eq $argv[2]
end

# Mediators that "entremise mediators" has shown last.
function __entremise_mediators
    set -l base $HOME/.config
    set -q XDG_CONFIG_HOME; and set base $XDG_CONFIG_HOME
    set -l profile default
    set -q ENTREMISE_PROFILE; and set profile $ENTREMISE_PROFILE
    set -l words (commandline -opc)
    set -l at (contains -i -- --profile $words); and set profile $words[(math $at + 1)]
    set -l names $base/entremise/$profile/${namesFile}
    test -r $names; and cat $names
end

complete -c entremise -f
${places.flatMap(linesOf).join('\n')}
`;
}

import { tables } from './bash.ts';
import type { Place } from './command-table.ts';
import { shellWord } from './shell-words.ts';

const described = (word: string, description: string) =>
  shellWord(`${word.replaceAll(':', '\\:')}:${description}`);

/** A completion script for zsh, which shows what each word is for. */
export function zshScript(places: readonly Place[]): string {
  const cases = places.map(({ path, verbs, options }) => {
    const all = [...verbs, ...options].map(({ word, description }) => described(word, description));
    return `    ${shellWord(path)}) found=(${all.join(' ')}) ;;`;
  });
  return `#compdef entremise
# Completion of entremise for zsh. Made by: entremise completion zsh
${tables(places)}
_entremise() {
  local cur="$words[CURRENT]" place='' profile='' expected='' before='' kind='' word
  local -i i index=0
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    word="$words[i]"
    if [[ -n $expected ]]; then
      [[ $before == --profile ]] && profile=$word
      expected=''
    elif [[ $word == -* ]]; then
      expected=$(__entremise_value "$place" "$word")
    elif __entremise_is_verb "\${place:+$place }$word"; then
      place="\${place:+$place }$word"
    else
      index=$((index + 1))
    fi
    before=$word
  done
  kind=$expected
  if [[ -z $kind && $cur != -* ]]; then kind=$(__entremise_argument "$place" "$index"); fi
  case "$kind" in
    mediator) compadd -- \${(f)"$(__entremise_mediators "$profile")"} ;;
    file) _files ;;
    directory) _files -/ ;;
    '='*) compadd -- \${(s: :)kind#'='} ;;
  esac
  if [[ -n $expected ]] || { [[ -n $kind ]] && [[ $cur != -* ]]; }; then return; fi
  case "$place" in
${cases.join('\n')}
  esac
  _describe entremise found
}
# Found by its name in fpath, this file is the body of the function when that is called first.
if [[ "\${funcstack[1]:-}" == _entremise ]]; then _entremise "$@"; else compdef _entremise entremise; fi
`;
}

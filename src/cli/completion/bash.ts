import type { Place } from './command-table.ts';
import { argumentCases, namesFile, shellWord, valueCases } from './shell-words.ts';

/** What zsh and bash have in common: tables, and a walk over the words that are there. */
export function tables(places: readonly Place[]): string {
  const words = places.map(({ path, verbs, options }) => {
    const all = [...verbs, ...options].map(({ word }) => word).join(' ');
    return `    ${shellWord(path)}) echo ${shellWord(all)} ;;`;
  });
  const verbs = places.flatMap(({ path, verbs: below }) =>
    below.map(({ word }) => shellWord(path === '' ? word : `${path} ${word}`)),
  );
  return `__entremise_words() {
  case "$1" in
${words.join('\n')}
  esac
}

# Is this a verb, with the words that lead to it?
__entremise_is_verb() {
  case "$1" in
    ${verbs.join(' | ')}) return 0 ;;
  esac
  return 1
}

# The kind of value that an option takes, where it takes one.
__entremise_value() {
  case "$1 $2" in
${valueCases(places)}
  esac
}

# The kind of value that is expected behind the words of a verb, by its number.
__entremise_argument() {
  case "$1 $2" in
${argumentCases(places)}
  esac
}

# Mediators that "entremise mediators" has shown last.
__entremise_mediators() {
  local names="\${XDG_CONFIG_HOME:-$HOME/.config}/entremise/\${1:-\${ENTREMISE_PROFILE:-default}}/${namesFile}"
  if [ -r "$names" ]; then cat "$names"; fi
}
`;
}

/** A completion script for bash. */
export function bashScript(places: readonly Place[]): string {
  return `# Completion of entremise for bash. Made by: entremise completion bash
${tables(places)}
__entremise() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path='' profile='' expected='' before='' kind='' word i index=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [[ -n $expected ]]; then
      [[ $before == --profile ]] && profile=$word
      expected=''
    elif [[ $word == -* ]]; then
      expected=$(__entremise_value "$path" "$word")
    elif __entremise_is_verb "\${path:+$path }$word"; then
      path="\${path:+$path }$word"
    elif [[ $word != : && $before != : ]]; then
      index=$((index + 1)) # bash takes host:port for three words
    fi
    before=$word
  done
  kind=$expected
  if [[ -z $kind && $cur != -* ]]; then kind=$(__entremise_argument "$path" "$index"); fi
  COMPREPLY=()
  case "$kind" in
    mediator) mapfile -t COMPREPLY < <(compgen -W "$(__entremise_mediators "$profile")" -- "$cur") ;;
    file) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    directory) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    =*) mapfile -t COMPREPLY < <(compgen -W "\${kind#=}" -- "$cur") ;;
  esac
  if [[ -z $expected ]] && { [[ -z $kind ]] || [[ $cur == -* ]]; }; then
    mapfile -t COMPREPLY < <(compgen -W "$(__entremise_words "$path")" -- "$cur")
  fi
}
complete -F __entremise entremise
`;
}

import { type Program, until } from 'netns-test-helpers';

/** Long values (keys, documents, codes) are cut for the eye. */
function short(text: string): string {
  return text.replace(/[\w-]{60,}(\.[\w-]+)*/g, long => `${long.slice(0, 12)}...`);
}

/** A line as wide as people's terminals are. */
function cut(line: string): string {
  return line.length > 140 ? `${line.slice(0, 137)}...` : line;
}

/** What happened, in order, as people read it: time, place, command, result. */
export class Timeline {
  private readonly startMs = Date.now();
  private printedEvents = 0;

  /** A heading. */
  chapter(title: string): void {
    console.log(`\n== ${title}`);
  }

  /** A command at a place, and what came of it. */
  say(where: string, command: string, result: string): void {
    const seconds = ((Date.now() - this.startMs) / 1000).toFixed(1).padStart(6);
    console.log(`${seconds} s  [${where}] ${short(command)}`);
    for (const line of result.split('\n')) if (line !== '') console.log(`            ${cut(short(line))}`);
  }

  /** Prints what the program `entremise events` has told since the last call. */
  follow(events: Program, where: string): void {
    const lines = events.stdout.split('\n').filter(line => line !== '');
    for (const line of lines.slice(this.printedEvents)) console.log(`            [${where}] ${line}`);
    this.printedEvents = lines.length;
  }

  /** Waits until the events of the fetch have come, and prints them. */
  async settle(events: Program): Promise<void> {
    await until(() => events.stdout.includes('fin'), { what: 'the events of the fetch', deadlineMs: 5000 });
    this.follow(events, 'events');
  }
}

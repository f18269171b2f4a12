import { z } from 'zod';

/** The channel's name; Firefox listens to it on the origin of its preference `remote.root` alone. */
const CHANNEL = 'account_updates';
/** Firefox answers at once, unless it asks the person something first. */
const ANSWER_MS = 4000;

const Answer = z.object({
  id: z.literal(CHANNEL),
  message: z.object({
    command: z.string(),
    messageId: z.string().optional(),
    data: z.looseObject({ error: z.unknown().optional() }).nullish(),
  }),
});

/** Firefox said no, or nothing. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  constructor(readonly reason: 'silent' | 'failed') {
    super(reason);
  }
}

let sent = 0;

/**
 * Tells the Firefox around this page something, without waiting for an answer.
 *
 * @param command - without `fxaccounts:`
 * @returns the id of the message
 */
export function tellFirefox(command: string, data: object): string {
  const messageId = `${++sent}`;
  const message = { command: `fxaccounts:${command}`, messageId, data };
  // Firefox takes the detail of a page's event as text alone.
  const detail = JSON.stringify({ id: CHANNEL, message });
  window.dispatchEvent(new CustomEvent('WebChannelMessageToChrome', { detail }));
  return messageId;
}

/**
 * Asks the Firefox around this page.
 *
 * @param waitMs - how long to wait for the answer
 * @throws ChannelError `silent` when nobody answers, as in another browser; `failed` when Firefox refuses
 */
export function askFirefox<T extends z.ZodType>(
  command: string,
  data: object,
  schema: T,
  waitMs = ANSWER_MS,
): Promise<z.infer<T>> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void) => {
      clearTimeout(timer);
      window.removeEventListener('WebChannelMessageToContent', hear);
      settle();
    };
    const hear = (event: Event) => {
      const { success, data: heard } = Answer.safeParse((event as CustomEvent).detail);
      if (!success || heard.message.messageId !== messageId) return;
      const answer = heard.message.data;
      const read = schema.safeParse(answer);
      done(() => {
        if (answer?.error === undefined && read.success) resolve(read.data);
        else reject(new ChannelError('failed'));
      });
    };
    const timer = setTimeout(() => {
      done(() => {
        reject(new ChannelError('silent'));
      });
    }, waitMs);
    window.addEventListener('WebChannelMessageToContent', hear);
    const messageId = tellFirefox(command, data);
  });
}

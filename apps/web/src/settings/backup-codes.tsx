import { useSignal } from '@preact/signals';
import { strings } from '../strings/strings.ts';
import { download } from '../ui/download.ts';
import { Note, Page } from '../ui/parts.tsx';

/** Backup codes, the one time that anybody sees them. */
export function ShowBackupCodes(props: { codes: string[]; email: string; onKept: () => void }) {
  const words = strings.secondFactors.backup;
  const note = useSignal<string | undefined>(undefined);
  const text = props.codes.join('\n');
  return (
    <Page name="backup-codes" title={words.yours}>
      <p>{words.keep}</p>
      <pre class="key" data-codes>
        {text}
      </pre>
      <p class="print-only">{words.fileText(props.email, location.origin, '')}</p>
      <Note text={note.value} />
      <div class="row">
        <button
          id="copy-codes"
          type="button"
          onClick={() => {
            navigator.clipboard.writeText(text).then(
              () => (note.value = words.copied),
              () => undefined, // a browser that lets no page write there says so itself
            );
          }}
        >
          {words.copy}
        </button>
        <button
          id="download-codes"
          type="button"
          onClick={() => {
            download(words.fileName, words.fileText(props.email, location.origin, text));
          }}
        >
          {strings.settings.recovery.download}
        </button>
        <button
          id="print-codes"
          type="button"
          onClick={() => {
            window.print();
          }}
        >
          {strings.settings.recovery.print}
        </button>
      </div>
      <button id="keep-codes" type="button" class="main" onClick={props.onKept}>
        {words.kept}
      </button>
    </Page>
  );
}

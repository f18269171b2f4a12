import { z } from 'zod';

// zod would try whether it may compile its checks to code; the policy of the pages forbids it, and says so loudly.
z.config({ jitless: true });

import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** What was spent of one limit by one client, account or pair of them. */
@Entity('budget')
@Index('budget_ends_at', ['endsAt'])
export class BudgetEntity {
  /** HMAC: the table shows nobody's address. */
  @PrimaryColumn('text')
  id!: string;

  @Column('integer')
  spent!: number;

  /** Spent whole: refused until it ends. */
  @Column('boolean', { name: 'is_locked' })
  isLocked!: boolean;

  /** How often it was spent whole without a day's pause; where waits grow, each doubles the next. */
  @Column('integer')
  strikes!: number;

  @Column('timestamptz', { name: 'ends_at' })
  endsAt!: Date;
}

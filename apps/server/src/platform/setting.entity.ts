import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Values made once, at first boot, that must outlive a change of address: realm and secrets. */
@Entity('setting')
export class SettingEntity {
  @PrimaryColumn('text')
  name!: string;

  @Column('text')
  value!: string;
}

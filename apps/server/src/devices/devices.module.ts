import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { EventsModule } from '../events/events.module.ts';
import { AttachedClientsController } from './attached-clients.controller.ts';
import { AttachedClientsService } from './attached-clients.service.ts';
import { DeviceCommandsService } from './device-commands.service.ts';
import { DeviceMessagesService } from './device-messages.service.ts';
import { DeviceStrategy } from './device.guard.ts';
import { DevicesController } from './devices.controller.ts';
import { DevicesService } from './devices.service.ts';
import { PushService } from './push.service.ts';

@Module({
  imports: [AccountsModule, EventsModule],
  controllers: [DevicesController, AttachedClientsController],
  providers: [
    AttachedClientsService,
    DeviceCommandsService,
    DeviceMessagesService,
    DevicesService,
    DeviceStrategy,
    PushService,
  ],
  exports: [DeviceMessagesService],
})
export class DevicesModule {}

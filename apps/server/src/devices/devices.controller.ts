import { Body, Controller, Get, HttpCode, Post, Query, UseGuards } from '@nestjs/common';
import {
  CommandIndex,
  CommandLimit,
  DestroyDevice,
  type Device,
  type DeviceCommands,
  IdleSince,
  InvokeCommand,
  type Invoked,
  NotifyDevices,
  PutDevice,
} from '#lib/protocol';
import { DeviceCommandsService } from './device-commands.service.ts';
import { DeviceGuard, Holder, VerifiedDeviceGuard } from './device.guard.ts';
import { DevicesService } from './devices.service.ts';

/** Devices, and commands between them: docs/protocol/devices.md */
@Controller('auth/v1/account')
@UseGuards(DeviceGuard)
export class DevicesController {
  constructor(
    private readonly devices: DevicesService,
    private readonly commands: DeviceCommandsService,
  ) {}

  @Post('device')
  @HttpCode(200)
  put(@Holder() holder: Holder, @Body({ schema: PutDevice }) asked: PutDevice): Promise<Device> {
    return this.devices.put(holder, asked);
  }

  @Get('devices')
  list(
    @Holder() holder: Holder,
    @Query('filterIdleDevicesTimestamp', { schema: IdleSince }) idleSince: IdleSince,
  ): Promise<Device[]> {
    return this.devices.list(holder, idleSince);
  }

  @Post('device/destroy')
  @HttpCode(200)
  async destroy(
    @Holder() { uid }: Holder,
    @Body({ schema: DestroyDevice }) { id }: DestroyDevice,
  ): Promise<Record<string, never>> {
    await this.devices.destroy(uid, id);
    return {};
  }

  @Get('device/commands')
  listCommands(
    @Holder() holder: Holder,
    @Query('index', { schema: CommandIndex }) index: CommandIndex,
    @Query('limit', { schema: CommandLimit }) limit: CommandLimit,
  ): Promise<DeviceCommands> {
    return this.commands.list(holder, index, limit);
  }

  @Post('devices/invoke_command')
  @HttpCode(200)
  @UseGuards(VerifiedDeviceGuard)
  async invoke(
    @Holder() holder: Holder,
    @Body({ schema: InvokeCommand }) asked: InvokeCommand,
  ): Promise<Invoked> {
    await this.commands.enqueue(holder, asked);
    return { enqueued: true, notified: false, notifyError: 'no push callback' };
  }

  @Post('devices/notify')
  @HttpCode(200)
  @UseGuards(VerifiedDeviceGuard)
  notify(@Body({ schema: NotifyDevices }) asked: NotifyDevices): Record<string, never> {
    // Nobody is told yet: devices ask from time to time.
    if (asked.to.length === 0) return {};
    return {};
  }
}

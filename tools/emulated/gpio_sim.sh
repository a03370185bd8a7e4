#!/bin/sh
# Builds gpio-sim, the kernel's simulated GPIO chip, which Debian leaves out, for Debian's kernel.
# Usage: gpio_sim.sh KERNEL DIR      (DIR receives gpio_sim.ko)
set -eu
kernel="$1" folder="$2"

source="$(find /usr/src -name 'linux-source-*.tar.xz' | sort -V | tail -n 1)"
name="$(basename "$source" .tar.xz)"
mkdir -p "$folder"
tar -xJf "$source" --occurrence=1 --strip-components=3 -C "$folder" \
    "$name/drivers/gpio/gpio-sim.c" "$name/drivers/gpio/gpiolib.h" "$name/kernel/irq/irq_sim.c"
# Simulated interrupts are built into a kernel or not at all. Outside, irq_to_desc is not to be had;
# generic_handle_irq reaches the same handler.
sed -i 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' "$folder/irq_sim.c"
printf 'obj-m := gpio_sim.o\ngpio_sim-y := gpio-sim.o irq_sim.o\n' >"$folder/Makefile"
make -s -C "/usr/src/linux-headers-$kernel" M="$folder" modules
strip --strip-debug "$folder/gpio_sim.ko"

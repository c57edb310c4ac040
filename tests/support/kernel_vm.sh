#!/bin/bash
# Run a command under a kernel that has netem: User-Mode Linux, an ordinary process.
#
#   kernel_vm.sh [--rw DIR]... [--timeout SECONDS] [--mem SIZE] -- command [argument...]
#
# Needs the packages user-mode-linux and busybox-static, no root and no network. The virtual
# machine's root is this machine's file system below an overlay in its memory: the same Python is
# there, and what is written outside the --rw folders is gone at the end. It has no network but its
# own loopback. Output comes back, and so does the exit code; 124: out of time, 125: did not boot.
set -u

if [ "${VM_STATE:-}" ] && [ $$ -eq 1 ]; then
    # -- inside, as process 1: make a root to live in, and change to it -------------------------
    BB=/bin/busybox NEW=/mnt/root
    $BB mount -t proc proc /proc 2>/dev/null
    $BB mount -t tmpfs tmpfs /mnt
    $BB mkdir -p /mnt/upper /mnt/work $NEW
    modules=/usr/lib/uml/modules
    # overlay comes before modprobe works: insert it by hand, what it depends on first.
    overlay=$modules/$($BB uname -r)/kernel/fs/overlayfs/overlay.ko
    [ -e "$overlay" ] && $BB insmod "$overlay"
    $BB mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work $NEW || $BB poweroff -f
    $BB mkdir -p $NEW/lib/modules "$NEW$VM_STATE"
    $BB mount -o bind $modules $NEW/lib/modules
    while read -r folder; do
        $BB mkdir -p "$NEW$folder" && $BB mount -o bind "$folder" "$NEW$folder"
    done < "$VM_STATE/rw"
    $BB mount -t proc proc $NEW/proc
    $BB mount -t sysfs sysfs $NEW/sys
    $BB mount -t devtmpfs dev $NEW/dev
    $BB mkdir -p $NEW/dev/shm $NEW/dev/pts
    $BB mount -t tmpfs tmpfs $NEW/dev/shm
    $BB mount -t tmpfs tmpfs $NEW/run
    for link in "fd /proc/self/fd" "stdin fd/0" "stdout fd/1" "stderr fd/2"; do
        $BB ln -sf "${link#* }" "$NEW/dev/${link% *}"
    done
    # Lets the kernel load what a command asks for.
    [ -e $NEW/sbin/modprobe ] || $BB ln -s $BB $NEW/sbin/modprobe
    # Not chroot: nobody may make a user namespace in one.
    $BB mkdir -p $NEW/mnt/outside
    cd $NEW && $BB pivot_root . mnt/outside && $BB umount -l /mnt/outside
    exec /bin/bash "$VM_STATE/command"
fi

# -- outside ------------------------------------------------------------------------------------
folders=() limit=300 memory=1024M
while [ $# -gt 0 ]; do
    case $1 in
        --rw) folders+=("$(readlink -f "$2")"); shift 2 ;;
        --timeout) limit=$2; shift 2 ;;
        --mem) memory=$2; shift 2 ;;
        --) shift; break ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || { sed -n '2,9p' "$0"; exit 2; }
state=$(mktemp -d) || exit 125
trap 'rm -rf "$state"' EXIT
trap 'exit 130' INT TERM
printf '%s\n' "$state" "${folders[@]}" > "$state/rw"
{
    export -p
    printf 'cd %q\nstate=%q\nset -- ' "$PWD" "$state"
    printf '%q ' "$@"
    cat << 'INSIDE'

busybox ip link set lo up
# The consoles are those two of the process outside; raw, or line ends would change.
for console in /dev/tty1 /dev/tty2; do stty -F $console raw -echo; done
"$@" < /dev/null > /dev/tty1 2> /dev/tty2
echo $? > "$state/code"
busybox poweroff -f
INSIDE
} > "$state/command"
exec 3>&1 4>&2
# The guest's memory is a file; /dev/shm keeps it off the disk.
TMPDIR=/dev/shm timeout -k 3 "$limit" linux.uml mem="$memory" rootfstype=hostfs rootflags=/ rw \
    init="$(readlink -f "$0")" VM_STATE="$state" uml_dir="$state/" quiet panic=-1 \
    con=null con0=null,fd:1 con1=null,fd:3 con2=null,fd:4 < /dev/null > "$state/console" 2>&1
ended=$?
[ -s "$state/code" ] && exit "$(cat "$state/code")"
[ $ended -eq 124 ] && { echo "kernel_vm: not done within $limit s" >&2; exit 124; }
echo "kernel_vm: the machine ended early; its console:" >&2
tail -20 "$state/console" >&2
exit 125

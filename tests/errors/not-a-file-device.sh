labctl validate /dev/zero

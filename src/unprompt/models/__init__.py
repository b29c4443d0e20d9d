"""Things with weights: model folders, where they are found, and the engines that run them."""
